//! A node behind TLS, as the command reaches it.

use metashrew_testing::bitcoind::Bitcoind;
use metashrew_testing::guests;
use metashrew_testing::proxy::Front;
use rcgen::{CertificateParams, KeyPair};

use crate::followed::Desk;
use crate::harness::{Running, succeed};

#[test]
fn a_node_behind_tls_is_followed_if_its_certificate_is_trusted() {
    let bitcoind = Bitcoind::start();
    bitcoind.mine(3);
    let desk = Desk::with(&guests::chained());
    let expected = desk.fresh(&bitcoind, "plain", &[]);
    let certificate = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let path = desk.path(name);
        std::fs::write(&path, certificate.pem()).unwrap();
        (certificate, key, path)
    };
    let (own, key, trusted) = certificate("trusted.pem");
    let (_, _, other) = certificate("other.pem");
    let front = Front::start_tls(bitcoind.address(), own.der(), key.serialized_der());
    let url = format!("https://user:password@{}", front.address());

    let flags = ["--exit-at", "3", "--rpc-ca", trusted.to_str().unwrap()];
    succeed(&mut desk.follow("flag", &url, &flags));
    assert_eq!(desk.records("flag"), expected);
    // Where the machine trusts it.
    let mut start = desk.follow("machine", &url, &["--exit-at", "3"]);
    succeed(start.env("SSL_CERT_FILE", &trusted));
    assert_eq!(desk.records("machine"), expected);

    let mut start = desk.follow("other", &url, &[]);
    let mut running = Running::spawn(start.env("SSL_CERT_FILE", &other));
    running.wait_for("is not trusted");
    running.signal("TERM");
    let (code, stderr) = running.wait();
    assert_eq!(code, Some(0));
    assert!(stderr.contains("--rpc-ca"), "{stderr}");
    assert!(!stderr.contains("password"), "{stderr}");
}

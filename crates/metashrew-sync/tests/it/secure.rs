//! A node behind TLS: its certificate is checked, and passwords stay where they are.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use metashrew_sync::{CoreNode, CoreSettings, FailureKind, Node, SettingsError};
use metashrew_testing::bitcoind::Bitcoind;
use metashrew_testing::proxy::Front;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::core_node::{ours, settings};
use crate::dialects::text;

const NAMES: [&str; 2] = ["127.0.0.1", "localhost"];

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    CertificateParams::new(names).unwrap()
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = params(&[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// What speaks TLS in front of a node, with a certificate that the authority signed.
fn front(bitcoind: &Bitcoind, names: &[&str], authority: &CertifiedIssuer<'_, KeyPair>) -> Front {
    let key = KeyPair::generate().unwrap();
    let certificate = params(names).signed_by(&key, authority).unwrap();
    Front::start_tls(bitcoind.address(), certificate.der(), key.serialized_der())
}

fn connect(bitcoind: &Bitcoind, host: &str, address: SocketAddr, ca: Option<&Path>) -> CoreNode {
    CoreNode::new(&CoreSettings {
        rpc_url: format!("https://user:password@{host}:{}", address.port()),
        rpc_ca: ca.map(Path::to_owned),
        rest: true,
        ..settings(bitcoind)
    })
    .unwrap()
}

#[test]
fn a_node_behind_tls_is_followed_if_its_certificate_is_trusted() {
    let bitcoind = Bitcoind::start();
    let mined: Vec<_> = bitcoind.mine(5).iter().map(ours).collect();
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca.pem");
    let authority = authority();
    fs::write(&ca, authority.pem()).unwrap();
    let server = front(&bitcoind, &NAMES, &authority);
    for host in NAMES {
        let node = connect(&bitcoind, host, server.address(), Some(&ca));
        assert_eq!(node.tip().unwrap().unwrap().hash, mined[4]);
        assert_eq!(node.hashes(1, 100).unwrap(), mined);
        node.block(&mined[2]).unwrap();
        assert_eq!(node.source_counts().rest, 1);
        node.block_template().unwrap();
    }

    // The server's own certificate, signed by itself.
    let key = KeyPair::generate().unwrap();
    let mut own = params(&NAMES);
    own.is_ca = IsCa::ExplicitNoCa;
    let certificate = own.self_signed(&key).unwrap();
    let server = Front::start_tls(bitcoind.address(), certificate.der(), key.serialized_der());
    fs::write(&ca, certificate.pem()).unwrap();
    let node = connect(&bitcoind, "127.0.0.1", server.address(), Some(&ca));
    assert_eq!(node.tip().unwrap().unwrap().hash, mined[4]);
}

#[test]
fn a_certificate_that_is_not_trusted_is_told_without_the_password() {
    let bitcoind = Bitcoind::start();
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca.pem");
    let (authority, other) = (authority(), authority());
    let trusted = front(&bitcoind, &NAMES, &authority);
    let elsewhere = front(&bitcoind, &["192.0.2.1"], &authority);
    fs::write(&ca, authority.pem()).unwrap();
    let other_ca = directory.path().join("other.pem");
    fs::write(&other_ca, other.pem()).unwrap();
    // Signed by itself, as by `openssl req -x509`: an authority's, and no server's.
    let key = KeyPair::generate().unwrap();
    let mut both = params(&NAMES);
    both.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let both = both.self_signed(&key).unwrap();
    let both_ca = directory.path().join("both.pem");
    fs::write(&both_ca, both.pem()).unwrap();
    let as_server = Front::start_tls(bitcoind.address(), both.der(), key.serialized_der());
    for (front, ca) in [
        // Another authority's, what the machine trusts, and a certificate for another host.
        (&trusted, Some(&other_ca)),
        (&trusted, None),
        (&elsewhere, Some(&ca)),
        (&as_server, Some(&both_ca)),
    ] {
        let ca = ca.map(std::path::PathBuf::as_path);
        let settings = CoreSettings {
            rpc_url: format!("https://user:password@{}", front.address()),
            rpc_ca: ca.map(Path::to_owned),
            ..settings(&bitcoind)
        };
        let node = match CoreNode::new(&settings) {
            Ok(node) => node,
            // A machine without any certificates.
            Err(error @ SettingsError::NoAuthorities { .. }) if ca.is_none() => {
                assert!(error.to_string().contains("--rpc-ca"), "{error}");
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        let error = node.tip().unwrap_err();
        assert!(error.is_transient());
        assert_eq!(error.kind(), FailureKind::Unreachable);
        let text = text(&error);
        assert!(
            text.contains("certificate") && text.contains("not trusted"),
            "{text}"
        );
        assert!(text.contains(&front.address().to_string()), "{text}");
        assert!(
            !text.contains("password") && !text.contains("user"),
            "{text}"
        );
        assert!(front.take_asked().is_empty());
    }
}

#[test]
fn what_does_not_speak_tls_is_told() {
    let bitcoind = Bitcoind::start();
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca.pem");
    fs::write(&ca, authority().pem()).unwrap();
    let node = connect(&bitcoind, "127.0.0.1", bitcoind.address(), Some(&ca));
    let error = node.tip().unwrap_err();
    let text = text(&error);
    assert!(
        text.contains("no whole answer") && !text.contains("password"),
        "{text}"
    );
}

#[test]
fn a_file_without_certificates_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in [("none.pem", Some("no certificate")), ("missing.pem", None)] {
        let ca = directory.path().join(name);
        if let Some(content) = content {
            fs::write(&ca, content).unwrap();
        }
        let error = CoreNode::new(&CoreSettings {
            rpc_ca: Some(ca.clone()),
            ..CoreSettings::new("https://user:password@127.0.0.1:1")
        });
        let text = error.err().unwrap().to_string();
        assert!(text.contains(name) && !text.contains("password"), "{text}");
    }
}

//! Learns whether the guest's workspace leaves the C code of secp256k1 out.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(secp256k1_left_out)");
    // From `.cargo/config.toml`: cargo hands it to who depends on secp256k1-sys.
    if std::env::var_os("DEP_RUSTSECP256K1_V0_10_0_LEFT_OUT").is_some() {
        println!("cargo::rustc-cfg=secp256k1_left_out");
    }
}

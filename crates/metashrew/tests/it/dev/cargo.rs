//! A project that Cargo builds, as most are.

use std::fs;

use super::process::Dev;
use super::project::project;

/// A guest without any dependency.
const SOURCE: &str = r#"
#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn __host_len() -> usize;
    fn __load_input(input: *mut u8);
    fn __get_len(key: *const u8) -> usize;
    fn __get(key: *const u8, value: *mut u8);
    fn __flush(message: *const u8);
}

const STEP: u32 = 1;
static KEY: [u8; 5] = [1, 0, 0, 0, b'k'];

fn read() -> u32 {
    let key = KEY[4..].as_ptr();
    let mut value = [0; 4];
    unsafe {
        if __get_len(key) == 4 {
            __get(key, value.as_mut_ptr());
        }
    }
    u32::from_le_bytes(value)
}

#[unsafe(no_mangle)]
pub extern "C" fn _start() {
    let mut input = vec![0; unsafe { __host_len() }];
    unsafe { __load_input(input.as_mut_ptr()) };
    let mut message = vec![9, 0, 0, 0, 0x0a, 1, b'k', 0x0a, 4];
    message.extend((read() + STEP).to_le_bytes());
    unsafe { __flush(message[4..].as_ptr()) };
}

#[unsafe(no_mangle)]
pub extern "C" fn sum() -> *const u8 {
    let text = read().to_string();
    let mut answer = (text.len() as u32).to_le_bytes().to_vec();
    answer.extend(text.bytes());
    answer.leak()[4..].as_ptr()
}
"#;

#[test]
fn a_project_of_cargo_is_built() {
    let place = project(&[]);
    let setup = crate::harness::project("scripts/setup-wasm.sh");
    let setup = setup.canonicalize().unwrap();
    let target = "wasm32-unknown-unknown";
    let file = format!(
        "[build]\ncommand = \"'{}' cargo build --release --offline --target {target}\"\n\
         module = \"target/{target}/release/guest.wasm\"\nwatch = [\"src\", \"Cargo.toml\"]\n\
         [dev]\nblocks = \"blocks.dat\"\nlisten = \"127.0.0.1:0\"\nviews = [{{ name = \"sum\" }}]\n",
        setup.display()
    );
    fs::write(place.path("metashrew.toml"), file).unwrap();
    let manifest = "[package]\nname = \"guest\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
                    [lib]\ncrate-type = [\"cdylib\"]\n[workspace]\n";
    fs::write(place.path("Cargo.toml"), manifest).unwrap();
    let write = |source: &str| fs::write(place.path("src/lib.rs"), source).unwrap();
    write(SOURCE);
    let mut command = place.metashrew(&["dev"]);
    // That of the tests is of another package.
    for name in ["CARGO_TARGET_DIR", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
        command.env_remove(name);
    }
    let mut dev = Dev::of(&mut command);
    dev.wait_for("sum at block 8:");
    dev.wait_for("    8");
    write(&SOURCE.replace("STEP: u32 = 1", "STEP: u32 = \"1\""));
    dev.wait_for("  | error[E0308]: mismatched types");
    dev.wait_for("no new guest");
    write(&SOURCE.replace("STEP: u32 = 1", "STEP: u32 = 5"));
    dev.wait_for("+ 40");
    write(&SOURCE.replace(
        "read() + STEP",
        "read().checked_sub(STEP).expect(\"enough\")",
    ));
    dev.wait_for("failed at block 1 (");
    dev.wait_for("_start");
}

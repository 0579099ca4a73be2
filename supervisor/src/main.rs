//! The `runmate` binary.

fn main() {
    std::process::exit(runmate::cli::main());
}

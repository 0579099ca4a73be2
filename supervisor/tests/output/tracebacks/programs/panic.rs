//! Panics two calls deep.
fn open(name: &str) -> u32 {
    assert_eq!(name.len(), 2, "a name of\ntwo letters");
    7
}

fn main() {
    open("x");
}

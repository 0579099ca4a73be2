//! What is added to an image.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::peers::RUNMATE;
use crate::report::{Section, Target};

/// The largest that the binary may be, in bytes.
const TARGET: u64 = 10_000_000;

pub fn run() -> Result<Section> {
    let binary = fs::read(RUNMATE)?;
    let size = binary.len() as u64;
    let is_static = !names_interpreter(&binary).ok_or("the runmate binary is no ELF file")?;
    let peers: [(&str, &[&str]); 3] = [
        ("tini (dynamic)", &["/usr/bin/tini"]),
        ("dumb-init (dynamic)", &["/usr/bin/dumb-init"]),
        (
            "s6-svscan and s6-supervise (dynamic)",
            &["/usr/bin/s6-svscan", "/usr/bin/s6-supervise"],
        ),
    ];
    let mut rows = vec![row("runmate (static)", size)];
    for (name, files) in peers {
        // Installed elsewhere by hand, perhaps; then there is no figure.
        let sizes: Option<Vec<u64>> = files.iter().map(|file| size_of(Path::new(file))).collect();
        rows.extend(sizes.map(|sizes| row(name, sizes.iter().sum())));
    }
    let package = PathBuf::from("/usr/lib/python3/dist-packages/supervisor");
    rows.extend(size_of_tree(&package).map(|size| row("supervisord (without Python)", size)));
    Ok(Section {
        title: "Size",
        how: "The files as they are shipped: stripped, and one static file in the case of runmate.".into(),
        header: vec!["contender", "KiB"],
        rows,
        targets: vec![Target {
            what: "size of the static, stripped binary",
            wanted: "≤ 10 MB".into(),
            measured: format!(
                "{:.2} MB{}",
                size as f64 / 1e6,
                if is_static { "" } else { ", but not static" }
            ),
            met: size <= TARGET && is_static,
        }],
    })
}

fn row(name: &str, bytes: u64) -> Vec<String> {
    vec![name.to_owned(), bytes.div_ceil(1024).to_string()]
}

fn size_of(file: &Path) -> Option<u64> {
    Some(fs::metadata(file).ok()?.len())
}

fn size_of_tree(directory: &Path) -> Option<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(directory).ok()? {
        let entry = entry.ok()?;
        sum += if entry.file_type().ok()?.is_dir() {
            size_of_tree(&entry.path())?
        } else {
            entry.metadata().ok()?.len()
        };
    }
    Some(sum)
}

/// Whether a 64-bit ELF file asks for a dynamic loader (a PT_INTERP among its program headers).
fn names_interpreter(elf: &[u8]) -> Option<bool> {
    let number = |at: usize, bytes: usize| {
        let field = elf.get(at..at + bytes)?;
        Some(
            field
                .iter()
                .rev()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
        )
    };
    let (start, size, count) = (number(0x20, 8)?, number(0x36, 2)?, number(0x38, 2)?);
    elf.starts_with(b"\x7fELF").then_some(())?;
    for index in 0..count {
        if number(start + index * size, 4)? == libc::PT_INTERP as usize {
            return Some(true);
        }
    }
    Some(false)
}

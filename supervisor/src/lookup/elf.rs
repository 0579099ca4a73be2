//! The two things an ELF header tells about why a program does not start: processor and loader.

/// What was read of a program.
pub(super) struct Elf {
    machine: u16,
    /// The dynamic loader it asks for; `None` if it is static.
    pub(super) interpreter: Option<String>,
}

/// `e_machine` of the programs this processor runs natively; `None` where we do not know.
const NATIVE: Option<u16> = if cfg!(target_arch = "x86_64") {
    Some(62)
} else if cfg!(target_arch = "aarch64") {
    Some(183)
} else {
    None
};

impl Elf {
    /// Whether it is a 64-bit program of another processor. Without binfmt_misc (which would run it
    /// anyway) the kernel answers ENOEXEC.
    pub(super) fn foreign(&self) -> bool {
        NATIVE.is_some_and(|native| self.machine != native)
    }

    /// Its processor, by name for those that images are built for.
    pub(super) fn machine(&self) -> String {
        match self.machine {
            62 => "x86_64".to_owned(),
            183 => "aarch64".to_owned(),
            other => format!("ELF machine {other}"),
        }
    }
}

/// Reads the beginning of a file; `None` unless it is a 64-bit little-endian ELF file. Whatever
/// lies beyond `head` counts as not there.
pub(super) fn read(head: &[u8]) -> Option<Elf> {
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let machine = u16::from_le_bytes(array(head, 18)?);
    let table = usize::try_from(u64::from_le_bytes(array(head, 32)?)).ok()?;
    let size = usize::from(u16::from_le_bytes(array(head, 54)?));
    let count = usize::from(u16::from_le_bytes(array(head, 56)?));
    let interpreter = (0..count).find_map(|index| {
        let header = table.checked_add(index.checked_mul(size)?)?;
        // p_type 3 is PT_INTERP; p_offset and p_filesz say where the path stands.
        if u32::from_le_bytes(array(head, header)?) != 3 {
            return None;
        }
        let offset = usize::try_from(u64::from_le_bytes(array(head, header.checked_add(8)?)?)).ok()?;
        let length = usize::try_from(u64::from_le_bytes(array(head, header.checked_add(32)?)?)).ok()?;
        let path = head.get(offset..offset.checked_add(length)?)?;
        let path = path.split(|byte| *byte == 0).next()?;
        Some(String::from_utf8_lossy(path).into_owned())
    });
    Some(Elf { machine, interpreter })
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An ELF header with one program header.
    pub(in crate::lookup) fn program(interpreter: Option<&str>, machine: Option<u16>) -> Vec<u8> {
        let mut bytes = vec![0; 64 + 56];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[18..20].copy_from_slice(&machine.or(NATIVE).unwrap_or(0).to_le_bytes());
        bytes[32..40].copy_from_slice(&64u64.to_le_bytes());
        bytes[54..56].copy_from_slice(&56u16.to_le_bytes());
        bytes[56..58].copy_from_slice(&1u16.to_le_bytes());
        if let Some(path) = interpreter {
            bytes[64..68].copy_from_slice(&3u32.to_le_bytes());
            bytes[72..80].copy_from_slice(&120u64.to_le_bytes());
            bytes[96..104].copy_from_slice(&(path.len() as u64 + 1).to_le_bytes());
            bytes.extend_from_slice(path.as_bytes());
            bytes.push(0);
        }
        bytes
    }

    #[test]
    fn cut_and_twisted_headers_are_read_without_a_panic() {
        let whole = program(Some("/lib/ld.so"), None);
        assert_eq!(read(&whole).unwrap().interpreter.as_deref(), Some("/lib/ld.so"));
        for end in 0..whole.len() {
            let _ = read(&whole[..end]);
            let mut twisted = whole.clone();
            twisted[end] = 0xff;
            let _ = read(&twisted);
        }
    }
}

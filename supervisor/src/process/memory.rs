//! Giving back what only the start needed.

use std::fs;

/// Unmaps the pages of our own code and constants. What is needed again comes back from the page cache at
/// the first touch.
///
/// The command line, the TOML parser and the validation run once, and the kernel maps 64 KiB around
/// each touch: after the start much of the program is mapped, and stays so, though most of it is never used
/// again.
pub fn forget_start_up_code() {
    let Ok(maps) = fs::read_to_string("/proc/self/maps") else {
        return;
    };
    // A function knows where the code is that it belongs to, and a text where the constants are. (What the
    // loader has written to is mapped apart from both.)
    let here = forget_start_up_code as *const () as usize;
    let constants = "/proc/self/maps".as_ptr() as usize;
    for (start, end) in maps
        .lines()
        .filter_map(read_only_range)
        .filter(|range| (range.0..range.1).contains(&here) || (range.0..range.1).contains(&constants))
    {
        // SAFETY: a private mapping of a file, without the right to write, that nobody wrote to before: what is
        // dropped is read back unchanged.
        unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
    }
}

/// The address range of a line of `/proc/self/maps` (proc_pid_maps(5)) if it maps what cannot be written.
fn read_only_range(line: &str) -> Option<(usize, usize)> {
    let (range, rest) = line.split_once(' ')?;
    if !rest.starts_with("r-xp") && !rest.starts_with("r--p") {
        return None;
    }
    let (start, end) = range.split_once('-')?;
    Some((
        usize::from_str_radix(start, 16).ok()?,
        usize::from_str_radix(end, 16).ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_be_written_is_dropped() {
        let line = "7f00-7f80 r-xp 000a4000 fe:00 123    /usr/bin/runmate";
        assert_eq!(read_only_range(line), Some((0x7f00, 0x7f80)));
        let constants = line.replace("r-xp", "r--p");
        assert_eq!(read_only_range(&constants), Some((0x7f00, 0x7f80)));
        for rights in ["rw-p", "rwxp", "r-xs", "r--s", "---p"] {
            assert_eq!(read_only_range(&line.replace("r-xp", rights)), None);
        }
        assert_eq!(read_only_range(""), None);
    }

    #[test]
    fn the_program_runs_on_and_less_of_it_is_mapped() {
        let file_pages = || {
            let rollup = fs::read_to_string("/proc/self/smaps_rollup").unwrap();
            let line = rollup
                .lines()
                .find_map(|line| line.strip_prefix("Pss_File:"))
                .unwrap();
            line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
        };
        let before = file_pages();
        forget_start_up_code();
        let after = file_pages();
        assert!(after < before, "{before} kB before, {after} kB after");
    }
}

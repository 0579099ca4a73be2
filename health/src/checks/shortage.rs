//! What this side lacks: it tells nothing about what is looked at.

#[cfg(feature = "_sql")]
use std::error::Error;
use std::io;
use std::net::UdpSocket;

/// What is lacking, if that is why something could not be opened.
pub(super) fn shortage(error: &io::Error) -> Option<&'static str> {
    Some(match error.raw_os_error()? {
        libc::EMFILE => "too many open files here",
        libc::ENFILE => "too many open files on this machine",
        libc::ENOMEM | libc::ENOBUFS => "not enough memory here",
        _ => return None,
    })
}

/// What is lacking, if that is why a TCP connection could not be opened (`connect(2)`). Not for Unix sockets, where
/// `EAGAIN` tells that the server does not keep up.
pub(super) fn shortage_of_tcp(error: &io::Error) -> Option<&'static str> {
    match error.raw_os_error()? {
        libc::EADDRNOTAVAIL => Some("no local address or port to connect from"),
        libc::EAGAIN => Some("not enough resources here"),
        _ => shortage(error),
    }
}

/// What is lacking, if that is why a process could not be started (`fork(2)`).
#[cfg(feature = "exec")]
pub(super) fn shortage_of_processes(error: &io::Error) -> Option<&'static str> {
    match error.raw_os_error()? {
        libc::EAGAIN => Some("too many processes here"),
        _ => shortage(error),
    }
}

/// The system's error behind another one, if there is one.
#[cfg(feature = "_sql")]
pub(super) fn system_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    let mut behind = Some(error);
    while let Some(error) = behind {
        if let Some(found) = error.downcast_ref::<io::Error>()
            && found.raw_os_error().is_some()
        {
            return Some(found);
        }
        behind = error.source();
    }
    None
}

/// What is lacking for any socket. The resolver opens files and sockets itself, and calls it a name that cannot be
/// found when it cannot.
pub(super) fn shortage_of_sockets() -> Option<&'static str> {
    let opened = UdpSocket::bind("127.0.0.1:0");
    opened.err().as_ref().and_then(shortage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_side_lacks_is_told_from_what_the_other_side_does() {
        for code in [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::ENOBUFS] {
            let error = io::Error::from_raw_os_error(code);
            assert!(
                shortage(&error).is_some() && shortage_of_tcp(&error).is_some(),
                "{error}"
            );
        }
        for code in [libc::EADDRNOTAVAIL, libc::EAGAIN] {
            let error = io::Error::from_raw_os_error(code);
            assert!(
                shortage(&error).is_none() && shortage_of_tcp(&error).is_some(),
                "{error}"
            );
        }
        for code in [
            libc::ECONNREFUSED,
            libc::ETIMEDOUT,
            libc::EHOSTUNREACH,
            libc::ECONNRESET,
        ] {
            assert!(shortage_of_tcp(&io::Error::from_raw_os_error(code)).is_none());
        }
        assert!(shortage_of_tcp(&io::ErrorKind::TimedOut.into()).is_none());
    }
}

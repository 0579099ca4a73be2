//! rsyslog from Debian. It has no input that reads stdin, so socat hands on what comes there: the forwarder is a shell
//! with both.

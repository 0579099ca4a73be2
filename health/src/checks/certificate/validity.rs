//! From when to when a certificate is valid.

use std::time::Duration;

use der::asn1::{AnyRef, GeneralizedTime, UtcTime};
use der::{Decode, Error, Reader, SliceReader, Tag, Tagged};

/// Since 1970, both of them still within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub begins: Duration,
    pub ends: Duration,
}

impl Validity {
    /// Reads the beginning of a certificate, as far as it is needed (RFC 5280, section 4.1):
    /// `SEQUENCE { SEQUENCE { [0] version OPTIONAL, serial, algorithm, issuer, SEQUENCE { notBefore, notAfter }, ...`.
    ///
    /// # Errors
    /// If it is no certificate.
    pub fn of(der: &[u8]) -> Result<Validity, Error> {
        let certificate = AnyRef::from_der(der)?;
        let mut certificate = inside(certificate, Tag::Sequence)?;
        let mut tbs = inside(AnyRef::decode(&mut certificate)?, Tag::Sequence)?;
        let first = AnyRef::decode(&mut tbs)?;
        // A certificate of version 1 begins with its serial number.
        let rest = if first.tag() == Tag::Integer { 2 } else { 3 };
        for _ in 0..rest {
            AnyRef::decode(&mut tbs)?;
        }
        let mut validity = inside(AnyRef::decode(&mut tbs)?, Tag::Sequence)?;
        Ok(Validity {
            begins: time(&mut validity)?,
            ends: time(&mut validity)?,
        })
    }
}

fn inside<'a>(value: AnyRef<'a>, tag: Tag) -> Result<SliceReader<'a>, Error> {
    value.tag().assert_eq(tag)?;
    SliceReader::new(value.value())
}

fn time<'a>(reader: &mut impl Reader<'a>) -> Result<Duration, Error> {
    let time = AnyRef::decode(reader)?;
    match time.tag() {
        Tag::UtcTime => Ok(time.decode_as::<UtcTime>()?.to_unix_duration()),
        _ => Ok(time.decode_as::<GeneralizedTime>()?.to_unix_duration()),
    }
}

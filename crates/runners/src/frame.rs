//! Messages on pipes and sockets, bounded before they are parsed: a length and that many bytes of JSON on the way
//! in, one line of JSON per message on the control socket.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

/// The most that a start message may hold: the files of a workload, base64-encoded.
pub(crate) const START_LIMIT: usize = 96 << 20;
/// The most that one line on the control socket may hold.
pub(crate) const LINE_LIMIT: usize = 1 << 20;

/// A message with its length in front.
pub(crate) fn encode<T: Serialize>(message: &T) -> io::Result<Zeroizing<Vec<u8>>> {
    let body = Zeroizing::new(serde_json::to_vec(message)?);
    if body.len() > START_LIMIT {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "the start message has {} bytes, more than the {START_LIMIT} allowed",
                body.len()
            ),
        ));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(body.len() + 8));
    bytes.extend((body.len() as u64).to_le_bytes());
    bytes.extend(body.iter());
    Ok(bytes)
}

/// Reads one message with its length in front.
pub(crate) fn read<T: DeserializeOwned>(mut from: impl Read) -> io::Result<T> {
    let mut length = [0_u8; 8];
    from.read_exact(&mut length)?;
    let length = usize::try_from(u64::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > START_LIMIT {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a start message of {length} bytes exceeds the {START_LIMIT} allowed"),
        ));
    }
    let mut body = Zeroizing::new(vec![0_u8; length]);
    from.read_exact(&mut body)?;
    Ok(serde_json::from_slice(&body)?)
}

/// Writes one message with its length in front.
pub(crate) fn write<T: Serialize>(mut to: impl Write, message: &T) -> io::Result<()> {
    to.write_all(&encode(message)?)?;
    to.flush()
}

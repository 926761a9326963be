//! Lines of a stream, bounded.

use reqwest::Response;

use super::connection::Client;
use super::error::ClientError;

/// Longest line that is kept.
const LONGEST: usize = 64 << 20;

/// Reads a stream line by line.
pub(crate) struct Lines {
    client: Client,
    response: Response,
    buffer: Vec<u8>,
    scanned: usize,
}

impl Lines {
    /// Takes the stream.
    pub(crate) fn new(client: &Client, response: Response) -> Self {
        Self {
            client: client.clone(),
            response,
            buffer: Vec::new(),
            scanned: 0,
        }
    }

    /// The next line without its end; `None` at the end of the stream. Empty lines are left out. Dropping the future
    /// loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        loop {
            while let Some(at) = self.buffer[self.scanned..].iter().position(|byte| *byte == b'\n') {
                let end = self.scanned + at;
                let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
                self.scanned = 0;
                line.pop();
                if !line.is_empty() {
                    return Ok(Some(line));
                }
            }
            self.scanned = self.buffer.len();
            match self
                .response
                .chunk()
                .await
                .map_err(|error| self.client.transport(error))?
            {
                Some(chunk) if self.buffer.len() + chunk.len() > LONGEST => {
                    return Err(ClientError::Answer {
                        request: "a stream".to_owned(),
                        problem: format!("a line has more than {LONGEST} bytes"),
                    });
                }
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None if self.buffer.is_empty() => return Ok(None),
                None => {
                    self.scanned = 0;
                    return Ok(Some(std::mem::take(&mut self.buffer)));
                }
            }
        }
    }
}

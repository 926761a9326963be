//! What scripts and workloads do to the world outside: a small service that hears one line per connection and keeps
//! them in order. It is no part of any server, so it knows what was really done, and how often.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// The service. It ends with the test's process.
pub struct Cloud {
    /// Where it listens on the loopback address.
    pub port: u16,
    heard: Arc<(Mutex<Vec<String>>, Condvar)>,
}

impl Cloud {
    /// Starts it on a port of its own.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let hears = Arc::clone(&heard);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut line = String::new();
                if BufReader::new(stream.try_clone().unwrap())
                    .read_line(&mut line)
                    .is_err()
                {
                    continue;
                }
                hears.0.lock().unwrap().push(line.trim_end().to_owned());
                hears.1.notify_all();
                let _gone = stream.write_all(b"heard\n");
            }
        });
        Self { port, heard }
    }

    /// What was heard so far.
    pub fn heard(&self) -> Vec<String> {
        self.heard.0.lock().unwrap().clone()
    }

    /// Forgets what was heard so far.
    pub fn forget(&self) {
        self.heard.0.lock().unwrap().clear();
    }

    /// Waits until a line was heard.
    #[track_caller]
    pub fn wait_for(&self, line: &str, patience: Duration) {
        let begin = Instant::now();
        let (lines, changed) = &*self.heard;
        let mut lines = lines.lock().unwrap();
        while !lines.iter().any(|heard| heard == line) {
            let left = patience.saturating_sub(begin.elapsed());
            assert!(!left.is_zero(), "`{line}` was not heard, but {lines:?}");
            lines = changed.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// A command that says a line, for bash: it has a socket of its own.
    pub fn say(&self, line: &str) -> String {
        format!(
            "exec 3<>/dev/tcp/127.0.0.1/{}; echo \"{line}\" >&3; read -r answer <&3",
            self.port
        )
    }
}

//! A backend that takes requests as bytes and knows what each of them must be: the number in its
//! path says which body it has. What is not as it should be is kept as a complaint.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

#[derive(Clone)]
pub(crate) struct Recorder {
    pub(crate) address: SocketAddr,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
pub(crate) struct Kept {
    /// Method and path of each request.
    pub(crate) requests: Vec<(String, String)>,
    /// Head lines, lower case, that contain what must never come.
    pub(crate) leaked: Vec<String>,
    /// Paths whose body was another.
    pub(crate) altered: Vec<String>,
}

/// The body of the request with this number: of any length up to 20 KB, and like no other's.
pub(crate) fn body(n: u32) -> Vec<u8> {
    let mut state = u64::from(n) << 1 | 1;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let length = if next() % 8 == 0 { next() % 20_000 } else { next() % 400 };
    (0..length).map(|_| next() as u8).collect()
}

impl Recorder {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let recorder = Self { address, kept: Arc::default() };
        let kept = Arc::clone(&recorder.kept);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || serve(stream, &kept));
            }
        });
        recorder
    }

    pub(crate) fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap()
    }
}

fn serve(stream: TcpStream, kept: &Mutex<Kept>) -> Option<()> {
    let mut input = BufReader::new(stream.try_clone().unwrap());
    let mut output = stream;
    loop {
        let first = line(&mut input)?;
        let mut words = first.split(' ').map(str::to_owned);
        let (method, path) = (words.next()?, words.next()?);
        let (mut length, mut chunked, mut leaked) = (0, false, Vec::new());
        loop {
            let field = line(&mut input)?.to_ascii_lowercase();
            if field.is_empty() {
                break;
            }
            if let Some(value) = field.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            chunked |= field.starts_with("transfer-encoding:");
            if ["authorization:", "cookie:", "proxy-authorization:"]
                .iter()
                .any(|f| field.starts_with(f))
                || field.contains("s3cret")
            {
                leaked.push(field);
            }
        }
        let came = if chunked { chunks(&mut input)? } else { bytes(&mut input, length)? };
        let wanted = path.rsplit('/').next()?.parse().map(body).unwrap_or_default();
        let has_body = matches!(method.as_str(), "POST" | "PUT" | "PATCH");
        let altered = came != if has_body { wanted } else { Vec::new() };
        {
            let mut kept = kept.lock().unwrap();
            kept.leaked.extend(leaked);
            kept.altered.extend(altered.then(|| path.clone()));
            kept.requests.push((method, path));
        }
        output.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").ok()?;
    }
}

fn line(input: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    (input.read_line(&mut line).ok()? > 0).then(|| line.trim_end().to_owned())
}

fn bytes(input: &mut impl Read, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    input.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

fn chunks(input: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let length = usize::from_str_radix(&line(input)?, 16).unwrap();
        all.extend(bytes(input, length)?);
        line(input)?;
        if length == 0 {
            return Some(all);
        }
    }
}

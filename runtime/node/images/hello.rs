//! The quickstart's web server: answers with the pod's name, its node, its version and a count.
//!
//! `hello [--port PORT]`. `/healthz` answers `ok` and is not counted. On SIGTERM it accepts no
//! more, finishes what it has accepted, and exits with 0. The image says which version it is: `HELLO_VERSION`.
//!
//! `hello --get URL` asks another server instead and prints its answer, `hello --resolve NAME`
//! prints a name's addresses: to look at the network from within a pod.

use std::ffi::c_int;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::os::fd::AsRawFd;
use std::process::ExitCode;
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;
use std::{env, thread};

const SIGINT: c_int = 2;
const SIGTERM: c_int = 15;
const SHUT_RD: c_int = 0;
/// How long another server may take to accept.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a silent connection is kept.
const IDLE: Duration = Duration::from_secs(30);
/// How long connections have to finish after SIGTERM.
const DRAIN: Duration = Duration::from_secs(5);
/// More headers than this are no request of a browser or of curl.
const MAX_HEADERS: usize = 100;

/// The listening socket, for the signal handler; -1 before there is one and after the signal.
static LISTENER: AtomicI32 = AtomicI32::new(-1);

unsafe extern "C" {
    fn signal(signum: c_int, handler: usize) -> usize;
    fn shutdown(socket: c_int, how: c_int) -> c_int;
}

/// What every answer tells.
struct Hello {
    pod: String,
    node: String,
    version: String,
    requests: AtomicU64,
    open: AtomicUsize,
}

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let done = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--get", url] => get(url).map_err(|error| format!("{url}: {error}")),
        ["--resolve", name] => resolve(name).map_err(|error| format!("{name}: {error}")),
        _ => port(args.into_iter()).and_then(|port| serve(port).map_err(|error| format!("port {port}: {error}"))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("hello: {message}");
            ExitCode::FAILURE
        }
    }
}

fn port(mut args: impl Iterator<Item = String>) -> Result<u16, String> {
    let mut port = env::var("PORT").unwrap_or_else(|_| "8080".to_owned());
    while let Some(arg) = args.next() {
        port = match arg.split_once('=') {
            Some(("--port", value)) => value.to_owned(),
            None if arg == "--port" => args.next().ok_or("--port needs a number")?,
            _ => return Err(format!("unknown argument {arg:?}; usage: hello [--port PORT | --get URL | --resolve NAME]")),
        };
    }
    port.parse().map_err(|_| format!("{port:?} is not a port"))
}

/// Prints what `url`, `http://HOST[:PORT][/PATH]`, answers.
fn get(url: &str) -> io::Result<()> {
    let rest = url.strip_prefix("http://").ok_or_else(|| io::Error::other("only http:// is spoken"))?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address = if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
    let mut tried = io::Error::other("the name has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(mut stream) => {
                stream.set_read_timeout(Some(IDLE))?;
                write!(stream, "GET /{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n")?;
                return print_body(BufReader::new(stream));
            }
            Err(error) => tried = error,
        }
    }
    Err(tried)
}

fn print_body(mut answer: impl BufRead) -> io::Result<()> {
    let mut line = String::new();
    answer.read_line(&mut line)?;
    if line.split_whitespace().nth(1) != Some("200") {
        return Err(io::Error::other(format!("the answer is {:?}", line.trim())));
    }
    while answer.read_line(&mut line)? > 0 && !line.ends_with("\n\r\n") {}
    io::copy(&mut answer, &mut io::stdout()).map(drop)
}

/// Prints the addresses of `name`, one a line.
fn resolve(name: &str) -> io::Result<()> {
    let mut addresses: Vec<String> = (name, 0).to_socket_addrs()?.map(|address| address.ip().to_string()).collect();
    addresses.sort();
    addresses.dedup();
    addresses.iter().try_for_each(|address| writeln!(io::stdout(), "{address}"))
}

/// Ends `accept` in the main thread. Only calls what a signal handler may.
extern "C" fn stop(_: c_int) {
    let socket = LISTENER.swap(-1, Ordering::SeqCst);
    // SAFETY: `shutdown` is async-signal-safe, and on a number that is no socket it only answers an error.
    unsafe { shutdown(socket, SHUT_RD) };
}

fn serve(port: u16) -> io::Result<()> {
    let listener = TcpListener::bind(("0.0.0.0", port))?;
    LISTENER.store(listener.as_raw_fd(), Ordering::SeqCst);
    for signum in [SIGINT, SIGTERM] {
        // SAFETY: `stop` is a handler of the expected type.
        unsafe { signal(signum, stop as *const () as usize) };
    }
    let pod = env::var("POD_NAME").or_else(|_| env::var("HOSTNAME")).unwrap_or_else(|_| "unknown".to_owned());
    let node = env::var("NODE_NAME").unwrap_or_else(|_| "unknown".to_owned());
    let version = env::var("HELLO_VERSION").unwrap_or_else(|_| "0".to_owned());
    println!("hello version {version} listens on port {port}");
    let hello = Arc::new(Hello { pod, node, version, requests: AtomicU64::new(0), open: AtomicUsize::new(0) });
    while LISTENER.load(Ordering::SeqCst) >= 0 {
        let Ok((stream, _)) = listener.accept() else { continue };
        hello.open.fetch_add(1, Ordering::SeqCst);
        let hello = Arc::clone(&hello);
        thread::spawn(move || {
            // A client that goes away in the middle is no concern of the others.
            drop(answer(&hello, stream));
            hello.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
    drop(listener);
    drain(&hello);
    println!("hello ends after {} requests", hello.requests.load(Ordering::SeqCst));
    Ok(())
}

fn drain(hello: &Hello) {
    let step = Duration::from_millis(10);
    let mut waited = Duration::ZERO;
    while hello.open.load(Ordering::SeqCst) > 0 && waited < DRAIN {
        thread::sleep(step);
        waited += step;
    }
}

/// Answers the requests of one connection, one after the other.
fn answer(hello: &Hello, mut stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some((path, keep_alive)) = request(&mut reader)? {
        // While ending, each client is told to come back on a new connection: to another pod.
        let keep_alive = keep_alive && LISTENER.load(Ordering::SeqCst) >= 0;
        let body = match path.as_str() {
            "/healthz" => "ok\n".to_owned(),
            _ => greeting(hello),
        };
        let connection = if keep_alive { "keep-alive" } else { "close" };
        let length = body.len();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: {connection}\r\n\r\n");
        stream.write_all((head + &body).as_bytes())?;
        if !keep_alive {
            break;
        }
    }
    Ok(())
}

fn greeting(hello: &Hello) -> String {
    let count = hello.requests.fetch_add(1, Ordering::SeqCst) + 1;
    format!("Hello from pod {} on node {}: version {}, request {count}\n", hello.pod, hello.node, hello.version)
}

/// Reads a request's path and whether the connection goes on; nothing at the end of the connection.
fn request(reader: &mut impl BufRead) -> io::Result<Option<(String, bool)>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().skip(1);
    let path = words.next().unwrap_or("/").to_owned();
    let mut keep_alive = words.next() == Some("HTTP/1.1");
    for _ in 0..MAX_HEADERS {
        line.clear();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            return Ok(Some((path, keep_alive)));
        }
        if line.to_ascii_lowercase().trim().replace(' ', "") == "connection:close" {
            keep_alive = false;
        }
    }
    Ok(None)
}

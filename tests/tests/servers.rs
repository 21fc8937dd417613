//! Servers of the distribution, checkpointed at random moments under load, killed, and restored, five times in a row: what
//! they have acknowledged is there, and clients that connect anew go on.
//!
//! `CKPT_TEST_ROUNDS` says how often each is run (3), `CKPT_TEST_GENERATIONS` how often it is restored in each round (5),
//! `CKPT_TEST_SEED` repeats the moments of an earlier run.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use ckpt_tests::{
    Client, Launch, Place, Process, Random, Service, free_port, generations, look, rounds, tool,
    until,
};

/// What a step leaves behind: up to 200 characters.
fn value(client: usize, step: u64) -> String {
    let mut text = format!("{client}/{step}");
    let mut state = step;
    for _ in 0..step % 12 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(client as u64);
        text += &format!(" {state:x}");
    }
    text
}

fn connect(port: u16) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    // A server that hangs is a failure, not the end of all tests.
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    Ok(BufReader::new(stream))
}

/// A line without its end. The end of the connection is an error.
fn line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(line.to_owned()),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// As many bytes, and the end of a line.
fn block(stream: &mut BufReader<TcpStream>, length: usize) -> io::Result<String> {
    let mut bytes = vec![0; length + 2];
    stream.read_exact(&mut bytes)?;
    bytes.truncate(length);
    Ok(String::from_utf8(bytes).expect("the values are text"))
}

/// Each step is a transaction: one more key, one more in the count of steps, one more in a hash that is later given to the
/// background thread to be freed.
struct Redis(BufReader<TcpStream>);

/// As many steps share a hash: more than redis frees by itself (64).
const HASH: u64 = 128;

impl Redis {
    fn send(&mut self, commands: &[&[&str]]) -> io::Result<()> {
        let mut text = String::new();
        for command in commands {
            text += &format!("*{}\r\n", command.len());
            for word in *command {
                text += &format!("${}\r\n{word}\r\n", word.len());
            }
        }
        self.0.get_mut().write_all(text.as_bytes())
    }

    /// The next reply: one text, or several.
    fn reply(&mut self) -> io::Result<Vec<String>> {
        let line = line(&mut self.0)?;
        let (kind, rest) = line.split_at(1);
        let number = || rest.parse::<usize>().ok();
        Ok(match kind {
            "+" | ":" => vec![rest.to_owned()],
            "$" => match number() {
                Some(length) => vec![block(&mut self.0, length)?],
                None => vec!["(nil)".to_owned()],
            },
            "*" => {
                let mut all = Vec::new();
                for _ in 0..number().expect("a transaction is never aborted") {
                    all.append(&mut self.reply()?);
                }
                all
            }
            // A client tries again.
            "-" if rest.starts_with("LOADING") => return Err(io::ErrorKind::ResourceBusy.into()),
            _ => panic!("redis says: {line}"),
        })
    }

    fn call(&mut self, command: &[&str]) -> io::Result<Vec<String>> {
        self.send(&[command])?;
        self.reply()
    }
}

impl Client for Redis {
    fn connect(port: u16) -> io::Result<Self> {
        connect(port).map(Self)
    }

    fn is_alone(&mut self) -> io::Result<bool> {
        let info = self.call(&["INFO", "clients"])?;
        Ok(info[0].lines().any(|line| line == "connected_clients:1"))
    }

    fn last_step(&mut self, client: usize) -> io::Result<u64> {
        let last = self.call(&["GET", &format!("steps:{client}")])?;
        Ok(last[0].parse().unwrap_or(0))
    }

    fn take_step(&mut self, client: usize, step: u64) -> io::Result<()> {
        let value = value(client, step);
        let hash = step / HASH;
        self.send(&[
            &["MULTI"],
            &["SET", &format!("key:{client}:{step}"), &value],
            &["INCR", &format!("steps:{client}")],
            &[
                "HSET",
                &format!("hash:{client}:{hash}"),
                &step.to_string(),
                &value,
            ],
            &["UNLINK", &format!("hash:{client}:{}", hash.wrapping_sub(2))],
            &["EXEC"],
        ])?;
        for _ in 0..5 {
            self.reply()?;
        }
        let replies = self.reply()?;
        assert_eq!(
            replies[..3],
            ["OK".to_owned(), step.to_string(), "1".to_owned()]
        );
        Ok(())
    }

    fn verify(&mut self, client: usize, last: u64) -> io::Result<()> {
        let steps: Vec<u64> = (1..=last).collect();
        for some in steps.chunks(200) {
            let keys = some.iter().map(|step| format!("key:{client}:{step}"));
            let keys: Vec<String> = keys.collect();
            let mut command = vec!["MGET"];
            command.extend(keys.iter().map(String::as_str));
            let expected: Vec<_> = some.iter().map(|&step| value(client, step)).collect();
            assert!(self.call(&command)? == expected, "other values: {some:?}");
        }
        let next = self.call(&["EXISTS", &format!("key:{client}:{}", last + 1)])?;
        assert_eq!(
            next,
            ["0"],
            "client {client} has never come to step {last} + 1"
        );
        for hash in 0..=last / HASH {
            let length = self.call(&["HLEN", &format!("hash:{client}:{hash}")])?;
            let gone = hash + 2 <= last / HASH;
            let expected = match hash {
                _ if gone => 0,
                0 => last.min(HASH - 1),
                hash => (last + 1 - hash * HASH).min(HASH),
            };
            assert_eq!(
                length,
                [expected.to_string()],
                "client {client}, hash {hash}"
            );
        }
        Ok(())
    }
}

fn redis(program: &Path, port: u16) -> Launch {
    Launch::under_libckpt(program)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--io-threads", "2"])
        .args(["--hash-max-listpack-entries", "0"])
}

/// A server that has loaded what another one has saved.
fn is_found_by_another_redis(program: &Path, place: &Place, options: &[&str], steps: &[u64]) {
    let port = free_port();
    let bounds: Vec<_> = steps.iter().map(|&step| (step, step)).collect();
    let mut process = redis(program, port)
        .without_libckpt()
        .args(options)
        .start(place);
    look::<Redis>(&mut process, port, &bounds);
}

#[test]
fn redis_server() {
    let Some(program) = tool("redis", "redis-server") else {
        return;
    };
    let save = |place: &Place, port: u16, steps: &[u64]| {
        let mut client = Redis::connect(port).expect("the server listens");
        client.call(&["BGSAVE"]).expect("the server answers");
        until("the end of BGSAVE", || {
            let info = client
                .call(&["INFO", "persistence"])
                .expect("the server answers");
            assert!(info[0].contains("rdb_last_bgsave_status:ok"), "{}", info[0]);
            info[0].contains("rdb_bgsave_in_progress:0").then_some(())
        });
        is_found_by_another_redis(&program, place, &[], steps);
    };
    Service::<Redis>::new("redis", |port| redis(&program, port))
        .threads(5)
        .afterwards(save)
        .run();
}

/// A background thread syncs the file.
#[test]
fn redis_server_with_an_append_only_file() {
    let Some(program) = tool("redis-aof", "redis-server") else {
        return;
    };
    let options = ["--appendonly", "yes", "--auto-aof-rewrite-percentage", "0"];
    let load = |place: &Place, port: u16, steps: &[u64]| {
        let mut client = Redis::connect(port).expect("the server listens");
        client
            .send(&[&["SHUTDOWN", "NOSAVE"]])
            .expect("the server reads");
        assert!(client.reply().is_err(), "the server is still there");
        is_found_by_another_redis(&program, place, &options, steps);
    };
    Service::<Redis>::new("redis-aof", |port| redis(&program, port).args(options))
        .threads(5)
        .ends_at_checkpoints()
        .afterwards(load)
        .run();
}

/// Each step sets a key and then counts.
struct Memcached(BufReader<TcpStream>);

impl Memcached {
    fn call(&mut self, command: &str) -> io::Result<String> {
        self.0.get_mut().write_all(command.as_bytes())?;
        line(&mut self.0)
    }

    fn get(&mut self, keys: &str) -> io::Result<Vec<String>> {
        let mut values = Vec::new();
        let mut head = self.call(&format!("get {keys}\r\n"))?;
        while head != "END" {
            let length = head
                .rsplit(' ')
                .next()
                .and_then(|length| length.parse().ok());
            let length = length.unwrap_or_else(|| panic!("memcached says: {head}"));
            values.push(block(&mut self.0, length)?);
            head = line(&mut self.0)?;
        }
        Ok(values)
    }
}

impl Client for Memcached {
    fn connect(port: u16) -> io::Result<Self> {
        connect(port).map(Self)
    }

    fn is_alone(&mut self) -> io::Result<bool> {
        let mut alone = false;
        let mut line_of = self.call("stats\r\n")?;
        while line_of != "END" {
            alone |= line_of == "STAT curr_connections 1";
            line_of = line(&mut self.0)?;
        }
        Ok(alone)
    }

    fn last_step(&mut self, client: usize) -> io::Result<u64> {
        self.call(&format!("add steps:{client} 0 0 1\r\n0\r\n"))?;
        let last = self.get(&format!("steps:{client}"))?;
        Ok(last[0].trim_end().parse().expect("it is a number"))
    }

    fn take_step(&mut self, client: usize, step: u64) -> io::Result<()> {
        let value = value(client, step);
        let set = format!("set key:{client}:{step} 0 0 {}\r\n{value}\r\n", value.len());
        assert_eq!(self.call(&set)?, "STORED");
        assert_eq!(
            self.call(&format!("incr steps:{client} 1\r\n"))?,
            step.to_string()
        );
        Ok(())
    }

    fn verify(&mut self, client: usize, last: u64) -> io::Result<()> {
        let steps: Vec<u64> = (1..=last).collect();
        for some in steps.chunks(100) {
            let keys: Vec<_> = some
                .iter()
                .map(|step| format!("key:{client}:{step}"))
                .collect();
            let expected: Vec<_> = some.iter().map(|&step| value(client, step)).collect();
            assert!(
                self.get(&keys.join(" "))? == expected,
                "other values: {some:?}"
            );
        }
        Ok(())
    }
}

#[test]
fn memcached() {
    let Some(program) = tool("memcached", "memcached") else {
        return;
    };
    let launch = |port: u16| {
        Launch::under_libckpt(&program)
            .args(["-l", "127.0.0.1", "-p", &port.to_string()])
            // The user is for root only, who may not be root without saying so.
            .args(["-t", "4", "-m", "256", "-u", "root"])
    };
    Service::<Memcached>::new("memcached", launch)
        .threads(10)
        .run();
}

/// What a web server answers to a request for its file.
fn fetch(port: u16) -> io::Result<Vec<u8>> {
    let mut stream = connect(port)?;
    stream.get_mut().write_all(b"GET /file HTTP/1.0\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

/// A web server serves the same file before and after, also while somebody reads another one too slowly. Given its directory
/// and its port, `configuration` is what stands in the file `conf`.
fn web_server(test: &str, arguments: &[&str], configuration: fn(&Path, u16) -> String) {
    let Some(program) = tool(test, test) else {
        return;
    };
    let content: Vec<u8> = (0..3_000_000u32).map(|at| (at / 7) as u8).collect();
    let mut random = Random::new(test);
    for _ in 0..rounds() {
        let (place, port) = (Place::new(test), free_port());
        place.write("file", &content);
        place.write("conf", configuration(place.path(), port).as_bytes());
        let mut process = Launch::under_libckpt(&program)
            .args(arguments)
            .start(&place);
        for _ in 0..generations() {
            serves(&mut process, port, &content);
            let mut slow = connect(port).expect("the server listens");
            let request = b"GET /file HTTP/1.0\r\n\r\n";
            slow.get_mut().write_all(request).expect("it is connected");
            slow.read_exact(&mut [0; 100]).expect("it is served");
            std::thread::sleep(random.shorter_than(Duration::from_millis(20)));
            process.checkpoint();
            process.kill();
            process = Launch::restorer(["myckpt"]).start(&place);
        }
        serves(&mut process, port, &content);
    }
}

#[test]
fn nginx() {
    let arguments = ["-p", ".", "-c", "conf", "-e", "stderr"];
    web_server("nginx", &arguments, |_, port| {
        format!(
            "daemon off; master_process off; pid nginx.pid; error_log stderr; events {{}} \
             http {{ access_log off; client_body_temp_path body; proxy_temp_path proxy; \
             fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi; \
             server {{ listen 127.0.0.1:{port}; root .; }} }}"
        )
    });
}

#[test]
fn lighttpd() {
    web_server("lighttpd", &["-D", "-f", "conf"], |root, port| {
        let root = root.display();
        format!(
            "server.document-root = \"{root}\"\nserver.bind = \"127.0.0.1\"\nserver.port = {port}\n\
             server.errorlog = \"{root}/errors\"\n"
        )
    });
}

fn serves(process: &mut Process, port: u16, content: &[u8]) {
    let answer = until("an answer", || {
        let ended = process.ended();
        assert!(ended.is_none(), "it has ended: {:?}", process.refusals());
        fetch(port).ok()
    });
    assert!(answer.ends_with(content), "another file");
}

//! The command line.
use std::path::PathBuf;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// Client straight to the receiver, no server between: the machine's own limit.
    Nop,
    /// C connections, each sending as soon as its last answer came.
    Closed,
    /// Fixed rate; latency counts from the scheduled time.
    Open,
    /// K messages in flight, each done when every endpoint of its application has it.
    Fanout,
    /// Receivers answer 503 for a while, then 200: how soon and how fast it drains.
    Backlog,
    /// The open loop without dead endpoints, then with F of them dead: what the others notice.
    Isolate,
    /// More messages than a rate limit lets through: arrivals per second against the limit.
    Limits,
    /// Messages with a `deliverAt`: how late they arrive.
    Scheduled,
    /// Fixed rate until standard input closes; repeats a message, with its idempotency key, at one
    /// server after the other until it is acknowledged. For servers that are killed meanwhile. Each
    /// line of standard input is a mark: the report says what came when after it. With a limit it
    /// also says how many arrived in the fullest window.
    Survive,
}

/// Measures a server that speaks the Svix message API, from request to arrival.
#[derive(Debug, clap::Parser)]
#[command(name = "loadgen")]
pub struct Args {
    /// What is measured.
    #[arg(value_enum, value_name = "MODE")]
    pub kind: Mode,
    /// Where the servers listen (repeatable, or separated by commas). The connections are spread over
    /// them.
    #[arg(long = "base", value_delimiter = ',', default_value = "http://127.0.0.1:8071")]
    pub bases: Vec<String>,
    /// Bearer token of an organization.
    #[arg(long, default_value = "")]
    pub token: String,
    /// Messages, where no rate and time say it [default: 10000; fanout 50; survive 1000000].
    #[arg(long)]
    pub n: Option<usize>,
    /// Connections.
    #[arg(long, default_value_t = 64)]
    pub c: usize,
    /// Messages per second (open, isolate, survive).
    #[arg(long, default_value_t = 200.0)]
    pub rate: f64,
    /// Seconds of the open loop; of saturation (limits); over which messages fall due (scheduled).
    #[arg(long, default_value_t = 20.0)]
    pub secs: f64,
    /// Payload bytes.
    #[arg(long, default_value_t = 1024)]
    pub bytes: usize,
    /// Applications.
    #[arg(long, default_value_t = 1)]
    pub apps: usize,
    /// Endpoints per application.
    #[arg(long, default_value_t = 1)]
    pub endpoints: usize,
    /// `throttleRate` of every application, per second.
    #[arg(long)]
    pub app_limit: Option<u16>,
    /// `throttleRate` of every endpoint, per second.
    #[arg(long)]
    pub endpoint_limit: Option<u16>,
    /// Messages in flight (fanout).
    #[arg(long, default_value_t = 1)]
    pub in_flight: usize,
    /// Fraction of all endpoints that are dead.
    #[arg(long, default_value_t = 0.0)]
    pub dead: f64,
    /// Behaviour of the dead ones: hang | 500 | refuse | slow<ms>.
    #[arg(long, default_value = "hang")]
    pub dead_mode: String,
    /// Behaviour of the healthy ones: ok | slow<ms> | flaky or flaky<ms> (fails each first try,
    /// after so long).
    #[arg(long, default_value = "ok")]
    pub mode: String,
    /// Seconds that receivers stay down after the last message was sent (backlog).
    #[arg(long, default_value_t = 20.0)]
    pub down_secs: f64,
    /// Stay down until every delivery was tried once instead (backlog). Never happens with a
    /// server that holds deliveries to a failing endpoint back.
    #[arg(long)]
    pub until_tried: bool,
    /// Messages sent and drained before measuring.
    #[arg(long, default_value_t = 0)]
    pub warmup: usize,
    /// Seconds to wait for an answer.
    #[arg(long, default_value_t = 60.0)]
    pub timeout: f64,
    /// Seconds to wait for the last delivery.
    #[arg(long, default_value_t = 60.0)]
    pub drain: f64,
    /// Seconds to stay after the last one, for late duplicates.
    #[arg(long, default_value_t = 0.5)]
    pub linger: f64,
    /// A fresh `idempotency-key` on every message, as the official clients send it.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    pub idempotency: bool,
    /// Post to the URLs of sources instead, signed as GitHub signs. An application is a source then.
    #[arg(long)]
    pub inbound: bool,
    /// Each event twice: in turn at the same moment, and one after the other (with `--inbound`).
    #[arg(long, requires = "inbound")]
    pub twice: bool,
    /// Sources without endpoints: events are stored and go nowhere.
    #[arg(long, requires = "inbound")]
    pub stored_only: bool,
    /// Appended to the message route (`with_content=false`).
    #[arg(long, default_value = "")]
    pub query: String,
    /// Threads that send.
    #[arg(long, default_value_t = 1)]
    pub send_threads: usize,
    /// Threads that receive.
    #[arg(long, default_value_t = 1)]
    pub recv_threads: usize,
    /// A process tree to account CPU and memory of, as NAME=PID (repeatable).
    #[arg(long = "pid", value_parser = named_pid)]
    pub pids: Vec<(String, u32)>,
    /// Measure the sync latency of the disk under this directory before and after.
    #[arg(long)]
    pub probe_dir: Option<PathBuf>,
    /// Copied into the report.
    #[arg(long, default_value = "")]
    pub label: String,
    /// Do not delete the applications afterwards.
    #[arg(long)]
    pub keep: bool,
}

fn named_pid(text: &str) -> Result<(String, u32), String> {
    let (name, pid) = text.split_once('=').unwrap_or((text, text));
    Ok((name.to_owned(), pid.parse().map_err(|e| format!("{pid}: {e}"))?))
}

//! The bytes of a connection: a socket, TLS within it or not, counted.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

/// A socket, or a TLS session within one (within another, behind a proxy that speaks TLS).
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<Stream>>),
}

/// Passes one call on to whichever stream it is.
macro_rules! each {
    ($self:expr, $method:ident $(, $argument:expr)*) => {
        match $self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).$method($($argument),*),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).$method($($argument),*),
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        each!(self, poll_read, cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        each!(self, poll_write, cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, poll_write_vectored, cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, poll_flush, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, poll_shutdown, cx)
    }
}

/// What is known of the bytes of the exchange at hand, while hyper owns the stream. Only the task
/// that runs the exchange looks at it and changes it, so relaxed order does.
#[derive(Default)]
pub(super) struct Meter {
    /// Whether a byte of the request was handed to the socket (or to TLS above it).
    sent: AtomicBool,
    /// How many bytes may still be read.
    budget: AtomicU64,
    /// Whether more was to be read than that.
    exceeded: AtomicBool,
}

impl Meter {
    /// A new exchange begins, whose head may take so many bytes.
    pub(super) fn start(&self, budget: u64) {
        self.sent.store(false, Relaxed);
        self.exceeded.store(false, Relaxed);
        self.budget.store(budget, Relaxed);
    }

    /// From now on so many bytes may be read.
    pub(super) fn allow(&self, budget: u64) {
        self.budget.store(budget, Relaxed);
    }

    pub(super) fn has_sent(&self) -> bool {
        self.sent.load(Relaxed)
    }

    pub(super) fn is_exceeded(&self) -> bool {
        self.exceeded.load(Relaxed)
    }

    fn count_sent(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(polled, Poll::Ready(Ok(1..))) {
            self.sent.store(true, Relaxed);
        }
        polled
    }
}

/// A stream whose bytes are counted, and that reads no more than it may.
pub(super) struct Metered {
    pub stream: Stream,
    pub meter: Arc<Meter>,
}

impl AsyncRead for Metered {
    /// Reads at most one buffer more than the budget; then fails.
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let budget = self.meter.budget.load(Relaxed);
        if budget == 0 {
            self.meter.exceeded.store(true, Relaxed);
            return Poll::Ready(Err(io::Error::other("over the limit on what is read")));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        let read = (buf.filled().len() - before) as u64;
        self.meter.budget.store(budget.saturating_sub(read), Relaxed);
        polled
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.meter.count_sent(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.meter.count_sent(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

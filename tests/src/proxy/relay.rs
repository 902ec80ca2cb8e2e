//! From a client to the server and back, with what strikes on the way.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::WriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use super::choice::{Choice, Chosen};
use super::fault::Fault;
use super::seen::{Entry, Seens};
use super::wire::{Framing, Peer, Request, Response, Source};
use super::{Seen, lock};

/// The longest body that is kept, or read to its end and dropped.
const SMALL: usize = 1024 * 1024;

/// In how many pieces, and with which pauses, an answer trickles.
const PIECES: usize = 5;
const PAUSE: Duration = Duration::from_millis(20);

/// The largest of these pieces.
const PIECE: usize = 16 * 1024;

/// How long a client has to see an answer that came before it had sent everything.
const LINGER: Duration = Duration::from_secs(1);

/// What every connection shares.
pub(super) struct Relay {
    pub(super) server: SocketAddr,
    pub(super) delay: Duration,
    pub(super) seens: Seens,
    pub(super) choice: Mutex<Choice>,
}

/// What becomes of the client's connection after a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    /// The next request comes on it.
    Next,
    /// It is closed.
    Close,
    /// It is closed once the client has had time to read the answer: it may still be sending.
    Linger,
    /// It is reset.
    Reset,
}

/// What the server's answer led to.
enum Answered {
    /// The client has it. Says whether the client's connection is of use still.
    Given(bool),
    /// It was dropped because of this fault.
    Dropped(Fault),
    /// The client got a part of it.
    Broken,
}

/// Whose connection failed.
enum Broken {
    /// The one that was read from.
    Source,
    /// The one that was written to.
    Sink,
}

impl Relay {
    pub(super) async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let relay = Arc::clone(&self);
                    // A connection that broke, on either side, has been closed on the other one: that is all there is
                    // to tell.
                    tokio::spawn(async move {
                        let _ = relay.serve(stream).await;
                    });
                }
                // Too many open files, say: those who hold them need time.
                Err(_) => sleep(Duration::from_millis(10)).await,
            }
        }
    }

    /// Serves a connection to its end.
    async fn serve(&self, stream: TcpStream) -> io::Result<()> {
        let mut client = Peer::new(stream)?;
        let mut server = None;
        loop {
            let Some(head) = client.split().0.head().await? else { return Ok(()) };
            let request = Request::parse(&head)?;
            let (entry, number) = self.seens.add(Seen {
                method: request.method.clone(),
                path: request.path.clone(),
                query: request.query.clone(),
                ..Seen::default()
            });
            let exchange = Exchange { relay: self, request: &request, head: &head, entry: &entry, number };
            match exchange.run(&mut client, &mut server).await? {
                Then::Next => {}
                Then::Close => return Ok(()),
                Then::Linger => {
                    client.stream.shutdown().await?;
                    let (mut rest, mut nothing) = (client.stream.split().0, [0; 4096]);
                    let _ =
                        timeout(LINGER, async { while rest.read(&mut nothing).await.is_ok_and(|n| n > 0) {} }).await;
                    return Ok(());
                }
                Then::Reset => return client.stream.set_zero_linger(),
            }
        }
    }

    async fn connect(&self) -> io::Result<Peer> {
        Peer::new(TcpStream::connect(self.server).await?)
    }
}

/// One request and its answer.
struct Exchange<'a> {
    relay: &'a Relay,
    request: &'a Request,
    head: &'a [u8],
    entry: &'a Entry,
    number: u64,
}

impl Exchange<'_> {
    async fn run(&self, client: &mut Peer, server: &mut Option<Peer>) -> io::Result<Then> {
        let length = match self.request.framing {
            Framing::Length(length) => Some(length),
            Framing::Chunked(_) | Framing::UntilClose => None,
        };
        let can_repeat = length.is_some_and(|length| length <= SMALL as u64);
        let chosen = lock(&self.relay.choice).choose(self.entry.request(), &self.request.operation, can_repeat);
        if let Some(chosen) = chosen.filter(|chosen| !chosen.fault.needs_answer_body()) {
            self.entry.strike(chosen.fault);
        }
        match chosen.map(|chosen| chosen.fault) {
            Some(Fault::ResetBefore) => Ok(Then::Reset),
            Some(fault @ (Fault::ErrorBefore | Fault::SlowDown | Fault::Unavailable | Fault::TooManyRequests)) => {
                self.refuse(client, fault).await
            }
            Some(Fault::Twice) => self.forward_twice(client, server).await,
            Some(Fault::Delay) => {
                sleep(self.relay.delay).await;
                self.forward(client, server, None).await
            }
            Some(Fault::ResetAfter | Fault::ErrorAfter | Fault::Cut | Fault::Trickle) | None => {
                self.forward(client, server, chosen).await
            }
        }
    }

    /// Answers instead of the server, which hears nothing.
    async fn refuse(&self, client: &mut Peer, fault: Fault) -> io::Result<Then> {
        let (mut source, mut sink) = client.split();
        if self.request.expects_continue && !self.request.framing.is_done() && !source.has_more() {
            // It has not sent its body and will not: what comes next cannot be told from one.
            self.answer(&mut sink, fault, true).await?;
            return Ok(Then::Linger);
        }
        // Who answers and closes before everything was read resets the connection, and the answer may be lost.
        let mut framing = self.request.framing.clone();
        while let Some((bytes, content)) = source.body(&mut framing).await? {
            let bytes = bytes.len();
            self.entry.count_up(content);
            source.used(bytes);
        }
        self.answer(&mut sink, fault, false).await?;
        Ok(if self.request.keep_alive { Then::Next } else { Then::Close })
    }

    /// Gives the client an answer of the proxy's own.
    async fn answer(&self, sink: &mut WriteHalf<'_>, fault: Fault, close: bool) -> io::Result<()> {
        let Some(answer) = fault.answer() else { return Ok(()) };
        let (bytes, body) = answer.bytes(self.number, self.request.method == "HEAD", close);
        self.entry.answer(answer.status);
        self.entry.count_down(body);
        sink.write_all(&bytes).await
    }

    /// Returns a connection to the server: the one that is there, if the server has not closed it.
    async fn server(&self, server: &mut Option<Peer>) -> io::Result<Peer> {
        match server.take().filter(Peer::is_idle) {
            Some(server) => Ok(server),
            None => self.relay.connect().await,
        }
    }

    /// Forwards the request, body and all, and brings the answer back, or what is to become of it.
    async fn forward(&self, client: &mut Peer, server: &mut Option<Peer>, chosen: Option<Chosen>) -> io::Result<Then> {
        let mut connection = self.server(server).await?;
        let (mut client_source, mut client_sink) = client.split();
        let (mut server_source, mut server_sink) = connection.split();
        self.entry.forward();
        let mut reusable = false;
        let (answered, sent) = {
            let mut up = pin!(async {
                server_sink.write_all(self.head).await.map_err(|_| Broken::Sink)?;
                let mut framing = self.request.framing.clone();
                pass(&mut client_source, &mut framing, &mut server_sink, |bytes| self.entry.count_up(bytes)).await
            });
            let mut down = pin!(self.bring_back(&mut server_source, &mut client_sink, chosen, &mut reusable));
            let (mut sent, mut going) = (false, true);
            loop {
                tokio::select! {
                    // What is sent is known to be before the answer to it is looked at.
                    biased;
                    done = &mut up, if going => {
                        going = false;
                        match done {
                            Ok(()) => sent = true,
                            // The server gets no more of it and is not to wait for it.
                            Err(Broken::Source) => return Ok(Then::Close),
                            // The server closed; it may have said why.
                            Err(Broken::Sink) => {}
                        }
                    }
                    answered = &mut down => break (answered?, sent),
                }
            }
        };
        if reusable && sent {
            *server = Some(connection);
        }
        match answered {
            Answered::Given(keep_alive) if sent => {
                Ok(if keep_alive && self.request.keep_alive { Then::Next } else { Then::Close })
            }
            Answered::Given(_) => Ok(Then::Linger),
            Answered::Dropped(Fault::ErrorAfter) => {
                self.answer(&mut client_sink, Fault::ErrorAfter, !sent).await?;
                match (sent, self.request.keep_alive) {
                    (true, true) => Ok(Then::Next),
                    (true, false) => Ok(Then::Close),
                    (false, _) => Ok(Then::Linger),
                }
            }
            Answered::Dropped(_) => Ok(Then::Reset),
            Answered::Broken => Ok(Then::Close),
        }
    }

    /// Brings the server's answer to the client, or does to it what was chosen.
    async fn bring_back(
        &self,
        source: &mut Source<'_>,
        sink: &mut WriteHalf<'_>,
        mut chosen: Option<Chosen>,
        reusable: &mut bool,
    ) -> io::Result<Answered> {
        let (head, response) = loop {
            let (head, response) = self.response(source).await?;
            if !response.is_interim() {
                break (head, response);
            }
            sink.write_all(&head).await?;
        };
        self.entry.server_answers(response.status);
        let mut framing = response.framing;
        let can_break = !framing.is_done() && framing != Framing::UntilClose;
        if let Some(late) = chosen.filter(|chosen| chosen.fault.needs_answer_body()) {
            let request = self.entry.request();
            let mut choice = lock(&self.relay.choice);
            chosen = if can_break {
                choice.strike(late, request).then_some(late)
            } else {
                choice.instead(late, request, &self.request.operation)
            };
        }
        let fault = chosen.map(|chosen| chosen.fault);
        if let Some(fault) = fault {
            self.entry.strike(fault);
        }
        if let Some(fault @ (Fault::ResetAfter | Fault::ErrorAfter)) = fault {
            // To its end: a server may begin an answer before it has done the work.
            keep(source, &mut framing).await?;
            *reusable = response.keep_alive && framing.is_done();
            return Ok(Answered::Dropped(fault));
        }
        self.entry.answer(response.status);
        sink.write_all(&head).await?;
        match fault {
            Some(Fault::Cut) => {
                self.cut(source, &mut framing, sink).await?;
                return Ok(Answered::Broken);
            }
            Some(Fault::Trickle) => self.trickle(source, &mut framing, sink).await?,
            _ => {}
        }
        let passed = pass(source, &mut framing, sink, |bytes| self.entry.count_down(bytes)).await;
        if passed.is_err() {
            return Ok(Answered::Broken);
        }
        *reusable = response.keep_alive;
        Ok(Answered::Given(response.keep_alive))
    }

    /// Reads the head of the next answer.
    async fn response(&self, source: &mut Source<'_>) -> io::Result<(bytes::Bytes, Response)> {
        let head = source.head().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let response = Response::parse(&head, &self.request.method)?;
        Ok((head, response))
    }

    /// Passes the first half of a body on; of one that does not say how long it is, half of what comes first.
    async fn cut(&self, source: &mut Source<'_>, framing: &mut Framing, sink: &mut WriteHalf<'_>) -> io::Result<()> {
        let Framing::Length(length) = *framing else {
            if let Some((bytes, content)) = source.body(framing).await? {
                self.entry.count_down(content / 2);
                sink.write_all(&bytes[..bytes.len() / 2]).await?;
            }
            return Ok(());
        };
        let mut half = Framing::Length(length / 2);
        let _ = pass(source, &mut half, sink, |bytes| self.entry.count_down(bytes)).await;
        Ok(())
    }

    /// Passes the beginning of a body on, slowly.
    async fn trickle(
        &self,
        source: &mut Source<'_>,
        framing: &mut Framing,
        sink: &mut WriteHalf<'_>,
    ) -> io::Result<()> {
        for _ in 0..PIECES {
            let Some((bytes, content)) = source.piece(framing, PIECE, PIECES + 1).await? else { return Ok(()) };
            self.entry.count_down(content);
            sink.write_all(bytes).await?;
            let bytes = bytes.len();
            source.used(bytes);
            sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Forwards the request, and again after its answer, which is the one that the client gets.
    async fn forward_twice(&self, client: &mut Peer, server: &mut Option<Peer>) -> io::Result<Then> {
        let (mut client_source, mut client_sink) = client.split();
        let mut framing = self.request.framing.clone();
        if self.request.expects_continue && !framing.is_done() {
            client_sink.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let body = keep(&mut client_source, &mut framing).await?;
        self.entry.count_up(body.len());
        if !framing.is_done() {
            return Ok(Then::Close);
        }
        let whole = [self.head, &body].concat();

        let mut first = self.server(server).await?;
        let (mut source, mut sink) = first.split();
        let (head, response, mut framing) = self.ask(&whole, &mut source, &mut sink).await?;
        self.entry.server_answers(response.status);
        let mut begun = framing.clone();
        let beginning = keep(&mut source, &mut begun).await?;

        let mut second = self.relay.connect().await?;
        let (mut again, mut asking) = second.split();
        let (_, _, mut dropped) = self.ask(&whole, &mut again, &mut asking).await?;
        keep(&mut again, &mut dropped).await?;

        self.entry.answer(response.status);
        client_sink.write_all(&head).await?;
        self.entry.count_down(framing.content(&beginning)?);
        client_sink.write_all(&beginning).await?;
        let passed = pass(&mut source, &mut begun, &mut client_sink, |bytes| self.entry.count_down(bytes)).await;
        if passed.is_err() || !response.keep_alive {
            return Ok(Then::Close);
        }
        *server = Some(first);
        Ok(if self.request.keep_alive { Then::Next } else { Then::Close })
    }

    /// Sends a whole request and returns the head of its answer, and how its body ends.
    async fn ask(
        &self,
        whole: &[u8],
        source: &mut Source<'_>,
        sink: &mut WriteHalf<'_>,
    ) -> io::Result<(bytes::Bytes, Response, Framing)> {
        self.entry.forward();
        sink.write_all(whole).await?;
        loop {
            let (head, response) = self.response(source).await?;
            if !response.is_interim() {
                let framing = response.framing.clone();
                return Ok((head, response, framing));
            }
        }
    }
}

/// Passes a body on, and counts its content before it is written.
async fn pass(
    source: &mut Source<'_>,
    framing: &mut Framing,
    sink: &mut WriteHalf<'_>,
    count: impl Fn(usize),
) -> Result<(), Broken> {
    while let Some((bytes, content)) = source.body(framing).await.map_err(|_| Broken::Source)? {
        count(content);
        sink.write_all(bytes).await.map_err(|_| Broken::Sink)?;
        let bytes = bytes.len();
        source.used(bytes);
    }
    Ok(())
}

/// Returns the beginning of a body as it was sent: all of it, if it is a small one.
async fn keep(source: &mut Source<'_>, framing: &mut Framing) -> io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    while kept.len() <= SMALL {
        let Some((bytes, _)) = source.body(framing).await? else { break };
        kept.extend_from_slice(bytes);
        let bytes = bytes.len();
        source.used(bytes);
    }
    Ok(kept)
}

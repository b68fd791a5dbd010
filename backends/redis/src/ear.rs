//! The connection that listens for all subscribers of the process.

use std::{collections::HashMap, future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _, stream};
use redis::{
    Msg, RedisError,
    aio::{PubSubSink, PubSubStream},
};
use tokio::{
    sync::{
        broadcast::{self, error::RecvError},
        mpsc, oneshot,
    },
    task::unconstrained,
    time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout},
};
use vidstream_backends::{
    bus::{Event, Events, LARGEST_PAYLOAD, Topic},
    retry::Backoff,
};

use crate::{
    ANSWER_WITHIN,
    server::{Server, Trouble, is_answer},
};

/// Notices kept for the slowest subscriber of a topic before it misses some.
const KEPT: usize = 512;
/// A connection on which nothing was heard so long is asked whether it lives.
const PING_EVERY: Duration = Duration::from_secs(3);
/// Topics in one command.
const BATCH: usize = 256;

/// Subscribes.
pub(crate) struct Ear {
    requests: mpsc::UnboundedSender<Request>,
    server: Arc<Server>,
}

enum Request {
    Join(Topic, oneshot::Sender<Result<Subscription, Trouble>>),
    Leave(Topic),
}

/// One subscriber's part. Its topic is unsubscribed from with the last of them.
struct Subscription {
    topic: Topic,
    events: broadcast::Receiver<Event>,
    // Weak, because subscribers do not keep the bus open.
    requests: mpsc::WeakUnboundedSender<Request>,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(requests) = self.requests.upgrade() {
            let _ = requests.send(Request::Leave(self.topic.clone()));
        }
    }
}

impl Ear {
    pub(crate) fn new(server: Arc<Server>) -> Self {
        let (requests, receiver) = mpsc::unbounded_channel();
        let exchange = Exchange {
            server: Arc::clone(&server),
            topics: HashMap::new(),
            weak: requests.downgrade(),
            requests: receiver,
        };
        tokio::spawn(exchange.run());
        Self { requests, server }
    }

    pub(crate) async fn subscribe(&self, topic: &Topic) -> Result<Events, Trouble> {
        let (answer, answered) = oneshot::channel();
        let closed = || self.server.broken("the bus is closed");
        self.requests.send(Request::Join(topic.clone(), answer)).map_err(|_| closed())?;
        let subscription = answered.await.map_err(|_| closed())??;
        Ok(stream::unfold(subscription, |mut subscription| async {
            let event = match subscription.events.recv().await {
                Ok(event) => event,
                Err(RecvError::Lagged(_)) => Event::Missed,
                Err(RecvError::Closed) => return None,
            };
            Some((event, subscription))
        })
        .boxed())
    }
}

/// Hands on what comes, and keeps the connection and its subscriptions up.
struct Exchange {
    server: Arc<Server>,
    topics: HashMap<Topic, Entry>,
    requests: mpsc::UnboundedReceiver<Request>,
    weak: mpsc::WeakUnboundedSender<Request>,
}

struct Entry {
    events: broadcast::Sender<Event>,
    subscribers: usize,
}

/// Why a connection is given up.
enum End {
    Broken(Trouble),
    /// Nobody holds the bus any more.
    Closed,
}

impl Exchange {
    async fn run(mut self) {
        let mut backoff = Backoff::default();
        let mut told = false;
        loop {
            let begun = Instant::now();
            let trouble = match self.connect().await {
                Ok((sink, stream)) => {
                    if told {
                        tracing::info!(server = %self.server.url, "the event bus is back");
                    }
                    told = false;
                    // Whatever was published in the meantime.
                    self.topics.values().for_each(|entry| drop(entry.events.send(Event::Missed)));
                    match self.serve(sink, stream).await {
                        End::Broken(trouble) => trouble,
                        End::Closed => return,
                    }
                }
                Err(trouble) => trouble,
            };
            if !told {
                tracing::warn!(%trouble, "the event bus is away; notices are lost until it is back");
                told = true;
            }
            backoff.worked_for(begun.elapsed());
            let End::Broken(_) = self.refuse(trouble, Instant::now() + backoff.next_wait()).await else { return };
        }
    }

    /// A connection that is subscribed to all topics.
    async fn connect(&self) -> Result<(PubSubSink, PubSubStream), Trouble> {
        let (sink, stream) = self.server.listen().await?.split();
        let topics: Vec<&Topic> = self.topics.keys().collect();
        for topics in topics.chunks(BATCH) {
            self.subscribe(&sink, topics).await.map_err(|refusal| refusal.trouble)?;
        }
        Ok((sink, stream))
    }

    /// Answers with `trouble` for a while.
    async fn refuse(&mut self, trouble: Trouble, until: Instant) -> End {
        loop {
            tokio::select! {
                () = sleep_until(until) => return End::Broken(trouble),
                request = self.requests.recv() => match request {
                    None => return End::Closed,
                    Some(Request::Join(_, answer)) => drop(answer.send(Err(trouble.clone()))),
                    // The next connection will not be subscribed to it.
                    Some(Request::Leave(topic)) => drop(self.leave(&topic)),
                },
            }
        }
    }

    async fn serve(&mut self, sink: PubSubSink, mut stream: PubSubStream) -> End {
        let mut pings = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let done = tokio::select! {
                message = stream.next() => match message {
                    Some(message) => {
                        pings.reset();
                        self.hand_on(&message);
                        Ok(())
                    }
                    None => Err(self.server.broken("the connection was cut")),
                },
                request = self.requests.recv() => match request {
                    None => return End::Closed,
                    Some(Request::Join(topic, answer)) => self.join(&sink, &mut stream, topic, answer).await,
                    Some(Request::Leave(topic)) => self.part(&sink, &topic).await,
                },
                _ = pings.tick() => self.answer(sink.clone().ping::<redis::Value>()).await.map(drop).map_err(|r| r.trouble),
            };
            if let Err(trouble) = done {
                return End::Broken(trouble);
            }
        }
    }

    fn hand_on(&self, message: &Msg) {
        let channel = message.get_channel_name();
        // A topic that is subscribed to at several heights comes once for each.
        let pattern = message.get_pattern::<Option<String>>().ok().flatten();
        let subscribed = match &pattern {
            Some(pattern) => self.server.topic_below(pattern),
            None => self.server.topic_of(channel),
        };
        let Some(entry) = subscribed.and_then(|topic| self.topics.get(topic)) else { return };
        let payload = message.get_payload_bytes();
        match self.server.topic_of(channel).map(str::parse::<Topic>) {
            Some(Ok(topic)) if payload.len() <= LARGEST_PAYLOAD => {
                // An error says only that nobody is left.
                let _ = entry.events.send(Event::Notice { topic, payload: Bytes::copy_from_slice(payload) });
            }
            _ => tracing::debug!(channel, "somebody else publishes below our prefix"),
        }
    }

    async fn join(
        &mut self,
        sink: &PubSubSink,
        stream: &mut PubSubStream,
        topic: Topic,
        answer: oneshot::Sender<Result<Subscription, Trouble>>,
    ) -> Result<(), Trouble> {
        let confirmed = if self.topics.contains_key(&topic) {
            self.answer(sink.clone().ping::<redis::Value>()).await.map(drop)
        } else {
            self.subscribe(sink, &[&topic]).await
        };
        if let Err(refusal) = confirmed {
            let _ = answer.send(Err(refusal.trouble.clone()));
            return refusal.into_end();
        }
        // What was published before is not for whoever comes now, and lies before the server's confirmation.
        while let Some(Some(before)) = unconstrained(stream.next()).now_or_never() {
            self.hand_on(&before);
        }
        let new = || Entry { events: broadcast::Sender::new(KEPT), subscribers: 0 };
        let entry = self.topics.entry(topic.clone()).or_insert_with(new);
        entry.subscribers += 1;
        let subscription = Subscription { topic, events: entry.events.subscribe(), requests: self.weak.clone() };
        // Whoever has gone meanwhile leaves by dropping it.
        let _ = answer.send(Ok(subscription));
        Ok(())
    }

    async fn part(&mut self, sink: &PubSubSink, topic: &Topic) -> Result<(), Trouble> {
        if self.leave(topic).is_none() {
            return Ok(());
        }
        let (mut channels, mut patterns) = (sink.clone(), sink.clone());
        let (channel, pattern) = (self.server.channel(topic), self.server.pattern(topic));
        let both = async { futures::try_join!(channels.unsubscribe(channel), patterns.punsubscribe(pattern)) };
        self.answer(both).await.map(drop).or_else(Refusal::into_end)
    }

    /// The topic's entry, if that was its last subscriber.
    fn leave(&mut self, topic: &Topic) -> Option<Entry> {
        let entry = self.topics.get_mut(topic)?;
        entry.subscribers -= 1;
        if entry.subscribers == 0 { self.topics.remove(topic) } else { None }
    }

    /// Subscribes, and waits until the server says that it has.
    async fn subscribe(&self, sink: &PubSubSink, topics: &[&Topic]) -> Result<(), Refusal> {
        let (mut channels, mut patterns) = (sink.clone(), sink.clone());
        let channel_names: Vec<_> = topics.iter().map(|topic| self.server.channel(topic)).collect();
        let pattern_names: Vec<_> = topics.iter().map(|topic| self.server.pattern(topic)).collect();
        // The second is sent while the first is waited for.
        let both = async { futures::join!(channels.subscribe(channel_names), patterns.psubscribe(pattern_names)) };
        let (first, second) = self.answer(async { Ok(both.await) }).await?;
        first.and(second).map_err(|error| self.refusal(&error))
    }

    /// An answer in time.
    async fn answer<T>(&self, asked: impl Future<Output = Result<T, RedisError>>) -> Result<T, Refusal> {
        match timeout(ANSWER_WITHIN, asked).await {
            Ok(answered) => answered.map_err(|error| self.refusal(&error)),
            Err(_) => Err(Refusal { trouble: self.server.silent(ANSWER_WITHIN), answered: false }),
        }
    }

    fn refusal(&self, error: &RedisError) -> Refusal {
        Refusal { trouble: self.server.trouble(error), answered: is_answer(error) }
    }
}

/// A command that did not succeed.
struct Refusal {
    trouble: Trouble,
    /// It was the server who said so: the connection is good for more.
    answered: bool,
}

impl Refusal {
    /// Whether that is the connection's end.
    fn into_end(self) -> Result<(), Trouble> {
        if self.answered { Ok(()) } else { Err(self.trouble) }
    }
}

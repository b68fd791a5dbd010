//! Spans: what was done when, for whoever collects traces.

use super::{Active, SpanId, TraceContext, active};
use std::borrow::Cow;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::SystemTime;

/// Who collects spans. An implementation takes them without waiting.
pub trait Export: Send + Sync + Debug {
    /// A span has ended.
    fn ended(&self, span: Ended);
}

/// A handle on whoever collects spans, or on nobody.
#[derive(Clone, Debug, Default)]
pub struct Tracer(Option<Arc<dyn Export>>);

impl Tracer {
    /// Spans go to `export`.
    pub fn new(export: Arc<dyn Export>) -> Self {
        Self(Some(export))
    }

    /// Whether anybody collects.
    pub fn collects(&self) -> bool {
        self.0.is_some()
    }
}

/// What a span is to others (OpenTelemetry, `SpanKind`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// A request is answered.
    Server,
    /// A step within a service.
    Internal,
    /// Somebody is told of work.
    Producer,
    /// Work that somebody told of is done.
    Consumer,
}

/// A span that has ended.
#[derive(Clone, PartialEq, Debug)]
pub struct Ended {
    /// Its place.
    pub context: TraceContext,
    /// The span above it; none for a trace's first.
    pub parent: Option<SpanId>,
    /// What it is to others.
    pub kind: Kind,
    /// The service that did it, such as `gateway`.
    pub service: &'static str,
    /// What was done, of few values: the name of an rpc, a route, a kind of job.
    pub name: Cow<'static, str>,
    /// When it began.
    pub began: SystemTime,
    /// When it ended.
    pub ended: SystemTime,
    /// What else is known, by OpenTelemetry's names where it has some.
    pub attributes: Vec<(&'static str, Cow<'static, str>)>,
    /// Why it failed, if it did.
    pub failure: Option<Cow<'static, str>>,
}

/// Something that is being done. It ends when it is dropped.
#[derive(Debug)]
pub struct Span {
    active: Active,
    /// None where nobody collects.
    record: Option<Box<Ended>>,
}

impl Span {
    /// Begins a span of `service` below `parent`, or a new trace.
    pub fn begin(
        tracer: &Tracer,
        service: &'static str,
        kind: Kind,
        name: impl FnOnce() -> Cow<'static, str>,
        parent: Option<TraceContext>,
    ) -> Self {
        let context = parent.map_or_else(|| TraceContext::begin(tracer.collects()), |parent| parent.child());
        let record = (context.sampled && tracer.collects()).then(|| {
            let began = SystemTime::now();
            Box::new(Ended {
                context,
                parent: parent.map(|parent| parent.span),
                kind,
                service,
                name: name(),
                began,
                ended: began,
                attributes: Vec::new(),
                failure: None,
            })
        });
        Self { active: Active { context, tracer: tracer.clone(), service }, record }
    }

    /// Begins a span below what the running task works for; nothing where it works for nobody.
    pub fn below(kind: Kind, name: impl FnOnce() -> Cow<'static, str>) -> Option<Self> {
        let active = active()?;
        Some(Self::begin(&active.tracer, active.service, kind, name, Some(active.context)))
    }

    /// What tasks that do it work for: see [`super::within`].
    pub fn active(&self) -> &Active {
        &self.active
    }

    /// Its place in the trace.
    pub fn context(&self) -> TraceContext {
        self.active.context
    }

    /// Notes something more, where somebody collects.
    pub fn note(&mut self, name: &'static str, value: impl FnOnce() -> Cow<'static, str>) {
        if let Some(record) = &mut self.record {
            record.attributes.push((name, value()));
        }
    }

    /// Notes that it failed.
    pub fn fail(&mut self, why: impl FnOnce() -> Cow<'static, str>) {
        if let Some(record) = &mut self.record {
            record.failure = Some(why());
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(mut record) = self.record.take()
            && let Some(export) = &self.active.tracer.0
        {
            record.ended = SystemTime::now();
            export.ended(*record);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::within;
    use super::*;
    use std::sync::Mutex;

    #[derive(Debug, Default)]
    struct Kept(Mutex<Vec<Ended>>);

    impl Export for Kept {
        fn ended(&self, span: Ended) {
            self.0.lock().unwrap().push(span);
        }
    }

    #[tokio::test]
    async fn spans_below_each_other_are_one_trace() {
        let kept = Arc::new(Kept::default());
        let tracer = Tracer::new(Arc::clone(&kept) as Arc<dyn Export>);
        let mut outer = Span::begin(&tracer, "a", Kind::Server, || "outer".into(), None);
        within(outer.active().clone(), async { drop(Span::below(Kind::Internal, || "inner".into())) }).await;
        outer.note("x", || "y".into());
        outer.fail(|| "no luck".into());
        let context = outer.context();
        drop(outer);
        let spans = kept.0.lock().unwrap();
        let [inner, outer] = &spans[..] else { panic!("two: {spans:?}") };
        assert_eq!((outer.context, outer.parent), (context, None));
        assert_eq!((inner.context.trace, inner.parent), (context.trace, Some(context.span)));
        assert_eq!((inner.service, &*inner.name), ("a", "inner"));
        assert_eq!(outer.attributes, [("x", "y".into())]);
        assert_eq!(outer.failure.as_deref(), Some("no luck"));
        assert!(outer.began <= inner.began && inner.ended <= outer.ended);
    }

    #[test]
    fn who_began_a_trace_decides_whether_it_is_collected() {
        let kept = Arc::new(Kept::default());
        let tracer = Tracer::new(Arc::clone(&kept) as Arc<dyn Export>);
        drop(Span::begin(&tracer, "a", Kind::Server, || "x".into(), Some(TraceContext::begin(false))));
        let alone = Span::begin(&Tracer::default(), "a", Kind::Server, || "x".into(), None);
        assert!(!alone.context().sampled);
        drop(alone);
        assert_eq!(*kept.0.lock().unwrap(), []);
        drop(Span::begin(&tracer, "a", Kind::Server, || "x".into(), Some(TraceContext::begin(true))));
        assert_eq!(kept.0.lock().unwrap().len(), 1);
    }
}

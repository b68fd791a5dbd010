//! Bells inside one process.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use futures::future::select_all;
use tokio::sync::Notify;

use super::{Bells, Class, JobQueue, QueueError};

/// Bells inside one process: at most one a class waits to be heard.
#[derive(Debug, Default)]
pub struct LocalQueue {
    // `Notify` is just such a bell: it keeps one permit, wakes one waiter, and passes on what a dropped waiter was given.
    bells: Mutex<HashMap<Class, Arc<Notify>>>,
}

impl LocalQueue {
    fn bell(&self, class: Class) -> Arc<Notify> {
        let mut bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(bells.entry(class).or_default())
    }
}

#[async_trait]
impl JobQueue for LocalQueue {
    async fn ring(&self, class: Class) -> Result<(), QueueError> {
        self.bell(class).notify_one();
        Ok(())
    }

    async fn listen(&self, classes: &[Class]) -> Result<Box<dyn Bells>, QueueError> {
        let bells = classes.iter().map(|&class| (class, self.bell(class))).collect();
        Ok(Box::new(LocalBells { bells }))
    }
}

struct LocalBells {
    bells: Vec<(Class, Arc<Notify>)>,
}

#[async_trait]
impl Bells for LocalBells {
    async fn next(&mut self) -> Result<Class, QueueError> {
        if self.bells.is_empty() {
            return std::future::pending().await;
        }
        let heard = self.bells.iter().map(|(class, bell)| {
            Box::pin(async {
                bell.notified().await;
                *class
            })
        });
        let (class, _, _) = select_all(heard).await;
        Ok(class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::contract::queue_contract;

    #[tokio::test(start_paused = true)]
    async fn it_passes_the_contract() {
        queue_contract(Arc::new(LocalQueue::default())).await;
    }

    #[tokio::test]
    async fn unheard_bells_become_one() {
        let queue = LocalQueue::default();
        let class = Class::new("light");
        for _ in 0..5 {
            queue.ring(class).await.unwrap();
        }
        let mut bells = queue.listen(&[class]).await.unwrap();
        assert_eq!(bells.next().await.unwrap(), class);
        assert!(futures::poll!(bells.next()).is_pending());
    }
}

//! The job queue on RabbitMQ.

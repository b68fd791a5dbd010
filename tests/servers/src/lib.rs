//! Real servers of a test's own: MongoDB's protocol, S3, RabbitMQ, Redis.

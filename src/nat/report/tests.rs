//! What is said of which facts.

//! What turns a router into a server: sockets, TLS, connections with bounds, an end that cuts no upload off.
//!
//! Each part takes a small struct of its own and knows nothing of the configuration. [`server::Server`] is given a
//! [`listen::Listener`], perhaps a [`tls::Tls`], and a router that [`access_log`] has wrapped; [`debug`] makes the router
//! of the other address; [`signals`] says when to end.

pub(crate) mod access_log;
mod activity;
mod connection;
pub(crate) mod debug;
pub(crate) mod descriptors;
mod heads;
pub(crate) mod limits;
pub(crate) mod listen;
mod places;
mod queues;
pub(crate) mod server;
pub(crate) mod shutdown;
pub(crate) mod signals;
pub(crate) mod tls;

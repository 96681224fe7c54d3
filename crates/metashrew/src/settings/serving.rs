//! What the flags of serving mean to the server.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, Result};
use metashrew_server::{AllowedHosts, ServerOptions};

use crate::cli::{Listen, Serving, Views};

impl Listen {
    /// The first address of the host.
    pub(crate) fn address(&self) -> Result<SocketAddr> {
        let (host, port) = (self.host.0.as_str(), self.port);
        let mut addresses = (host, port)
            .to_socket_addrs()
            .with_context(|| format!("the host `{host}` has no address"))?;
        addresses
            .next()
            .with_context(|| format!("the host `{host}` has no address"))
    }
}

impl Serving {
    /// Where to listen: `--listen`, with `--host` and `--port` in place of its parts.
    pub(crate) fn address(&self) -> Result<SocketAddr> {
        let host = self.host.as_ref().unwrap_or(&self.listen.host);
        let listen = Listen {
            host: host.clone(),
            port: self.port.unwrap_or(self.listen.port),
        };
        listen.address()
    }

    /// The longest answer follows from the longest answer of a view, in hex.
    pub(crate) fn options(&self, views: &Views) -> ServerOptions {
        const REST: usize = 64 * 1024;
        let bytes = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
        let default = ServerOptions::default();
        let time = Duration::from_millis;
        ServerOptions {
            cors: self.cors.clone(),
            allowed_hosts: self.allowed_hosts(),
            height_compat: self.height_compat,
            max_request: bytes(self.max_request.0),
            max_response: bytes(
                views
                    .view_max_output
                    .0
                    .saturating_mul(2)
                    .saturating_add(REST),
            ),
            max_batch: self.max_batch,
            batch_parallel: self.batch_parallel.unwrap_or(default.batch_parallel),
            max_subscriptions: self.max_subscriptions,
            max_subscriptions_per_connection: self.max_subscriptions_per_connection,
            subscription_memory: self.subscription_memory.0,
            client_share: self.client_share,
            subscription_cache: self.subscription_cache.0,
            max_requests: self.max_requests.get(),
            request_wait: time(self.request_wait_ms),
            idle_timeout: time(self.idle_timeout_ms),
            head_timeout: time(self.head_timeout_ms),
            body_timeout: time(self.body_timeout_ms),
            body_min_rate: self.body_min_rate.0,
            send_timeout: time(self.send_timeout_ms),
            heartbeat: time(self.heartbeat_ms),
            ..default
        }
    }

    /// Those that are named, and the name that it listens at.
    fn allowed_hosts(&self) -> AllowedHosts {
        let mut hosts = self.allowed_host.clone().unwrap_or_default();
        hosts.allow(&self.host.as_ref().unwrap_or(&self.listen.host).0);
        hosts
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::tests::start;

    #[test]
    fn flags_of_serving_reach_the_server() {
        let start = start(&[
            "--listen",
            "indexer.example:1",
            "--allowed-host",
            "a.example,b.example",
            "--request-memory",
            "64MiB",
            "--request-wait-ms",
            "1",
            "--max-requests",
            "2",
            "--idle-timeout-ms",
            "3",
            "--head-timeout-ms",
            "4",
            "--body-timeout-ms",
            "5",
            "--body-min-rate",
            "6",
            "--send-timeout-ms",
            "7",
            "--heartbeat-ms",
            "9",
            "--batch-parallel",
            "8",
            "--max-subscriptions",
            "9",
            "--max-subscriptions-per-connection",
            "10",
            "--subscription-memory",
            "11",
            "--subscription-cache",
            "12",
            "--client-share",
            "13",
        ]);
        let descriptors = start.descriptors(Some(1_024));
        let server = start.server_options(&descriptors);
        let hosts = "indexer.example,a.example,b.example".parse();
        assert_eq!(Ok(server.allowed_hosts), hosts);
        assert_eq!(server.request_memory, 64 << 20);
        assert_eq!((server.max_requests, server.batch_parallel.get()), (2, 8));
        let times = [
            server.request_wait,
            server.idle_timeout,
            server.head_timeout,
            server.body_timeout,
            server.send_timeout,
            server.heartbeat,
        ];
        assert_eq!(times.map(|time| time.as_millis()), [1, 3, 4, 5, 7, 9]);
        assert_eq!(server.body_min_rate, 6);
        let subscriptions = [
            server.max_subscriptions,
            server.max_subscriptions_per_connection,
            server.subscription_memory,
            server.subscription_cache,
            server.client_share.into(),
        ];
        assert_eq!(subscriptions, [9, 10, 11, 12, 13]);
    }

    #[test]
    fn host_and_port_replace_parts_of_the_address() {
        let check = |flags: &[&str], expect: &str| {
            let address = start(flags).serving.address().unwrap();
            assert_eq!(address.to_string(), expect, "{flags:?}");
        };
        check(&[], "127.0.0.1:8080");
        check(&["--listen", "0.0.0.0:1"], "0.0.0.0:1");
        check(&["--listen", "[::1]:1"], "[::1]:1");
        check(&["--port", "9"], "127.0.0.1:9");
        check(&["--host", "0.0.0.0"], "0.0.0.0:8080");
        check(&["--host", "::1", "--port", "9"], "[::1]:9");
    }
}

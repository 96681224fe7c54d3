//! Why the server closes connections.

/// Why the server closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closed {
    /// It was idle for too long.
    Idle,
    /// It was idle, and another needed its place.
    GaveWay,
    /// The head of a request took too long.
    Head,
    /// Nothing was read of an answer for too long.
    Send,
    /// Its transfer had stalled, and others needed its place or its memory.
    Stalled,
    /// It went on sending for too long.
    Lingered,
    /// It did not read what it had subscribed to for too long.
    Slow,
    /// Nothing came over its WebSocket, not even answers to pings.
    Silent,
}

impl Closed {
    pub(super) const ALL: [Self; 8] = [
        Self::Idle,
        Self::GaveWay,
        Self::Head,
        Self::Send,
        Self::Stalled,
        Self::Lingered,
        Self::Slow,
        Self::Silent,
    ];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::GaveWay => "gave_way",
            Self::Head => "head_timeout",
            Self::Send => "send_timeout",
            Self::Stalled => "stalled",
            Self::Lingered => "lingered",
            Self::Slow => "slow_consumer",
            Self::Silent => "silent",
        }
    }
}

//! Limits of decoding commands.

/// Limits of what one frame can ask for, beyond the frame's size, which the transport limits.
///
/// What one command holds is bounded by the frame: a decoded command takes at most some 300 times its encoded
/// size (empty nodes of a filter do), and the next one is decoded only when it is asked for. The limits here are for what costs time afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommandLimits {
    /// Most commands in one frame. Default 8,192: a frame of 64 KiB can't hold more that do something.
    pub commands_max: u32,
    /// Most levels of a filter ([`FilterNode`](super::FilterNode)): 1 is one comparison. Default 16. The parsers stop
    /// at about 60 levels, whatever this says.
    pub filter_depth_max: u32,
    /// Most nodes of the filters of one command. Each can be evaluated for each publication. Default 256.
    pub filter_nodes_max: u32,
    /// Most values (`vals`) in the filters of one command. Default 1,024.
    pub filter_values_max: u32,
}

impl Default for CommandLimits {
    fn default() -> Self {
        Self {
            commands_max: 8192,
            filter_depth_max: 16,
            filter_nodes_max: 256,
            filter_values_max: 1024,
        }
    }
}

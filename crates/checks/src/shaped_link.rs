//! A link as they are in the internet: slow, long and lossy.

use std::{
    collections::VecDeque,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

/// The properties of a link in each direction.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Bytes in a second, from the client to the server.
    pub up: u64,
    /// Bytes in a second, from the server to the client.
    pub down: u64,
    /// The round-trip time of the link.
    pub round_trip: Duration,
    /// Packets of a thousand that are lost.
    pub lost_of_thousand: u64,
    /// Bytes that wait before the link in one direction. What is more is lost.
    pub queue_bytes: u64,
}

impl Shape {
    /// Returns a link of so many bytes in a second, with a round trip of 200 ms and 2 % loss.
    #[must_use]
    pub fn slow(up: u64, down: u64) -> Self {
        Self {
            up,
            down,
            round_trip: Duration::from_millis(200),
            lost_of_thousand: 20,
            queue_bytes: 64 << 10,
        }
    }
}

/// Threads that carry packets from one place to the other, each wrapped in a datagram of VXLAN: both places have a
/// device for that, whose other end is one of these sockets.
///
/// ```text
///   client's uplink ─ datagrams ─> socket ─> queue, delay, loss ─> socket ─ datagrams ─> server's uplink
/// ```
pub(crate) struct ShapedLink {
    is_cut: Arc<AtomicBool>,
    is_over: Arc<AtomicBool>,
}

/// A socket of the link, and the address of the device that sends to it.
pub(crate) struct Side {
    pub(crate) socket: UdpSocket,
    pub(crate) device: SocketAddr,
}

impl ShapedLink {
    pub(crate) fn new(shape: Shape, seed: u64, client: Side, server: Side) -> Self {
        let (is_cut, is_over) = (Arc::default(), Arc::default());
        let (client, server) = (Arc::new(client), Arc::new(server));
        for (from, to, rate, seed) in [
            (&client, &server, shape.up, seed),
            (&server, &client, shape.down, !seed),
        ] {
            let direction = Direction {
                from: Arc::clone(from),
                shape,
                rate,
                luck: Luck(seed),
                is_cut: Arc::clone(&is_cut),
                is_over: Arc::clone(&is_over),
            };
            let (sender, receiver) = channel();
            thread::spawn(move || direction.take_in(&sender));
            let to = Arc::clone(to);
            thread::spawn(move || deliver(&to, &receiver));
        }
        Self { is_cut, is_over }
    }

    /// Interrupts the link, or ends the interruption.
    pub(crate) fn set_cut(&self, is_cut: bool) {
        self.is_cut.store(is_cut, Ordering::SeqCst);
    }
}

impl Drop for ShapedLink {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
    }
}

struct Direction {
    from: Arc<Side>,
    shape: Shape,
    /// Bytes in a second.
    rate: u64,
    luck: Luck,
    is_cut: Arc<AtomicBool>,
    is_over: Arc<AtomicBool>,
}

/// A datagram, and when it comes out at the other end.
struct Parcel {
    due: Instant,
    bytes: Vec<u8>,
}

impl Direction {
    /// Queues packets until the link is dropped.
    fn take_in(mut self, parcels: &Sender<Parcel>) {
        let mut buffer = [0; 2 << 10];
        // When each waiting packet goes on the line, and its bytes.
        let mut waiting: VecDeque<(Instant, u64)> = VecDeque::new();
        let mut waiting_bytes = 0;
        let mut line_free_at = Instant::now();
        let socket = &self.from.socket;
        socket
            .set_read_timeout(Some(LOOK))
            .expect("a timeout that is none");
        while !self.is_over.load(Ordering::SeqCst) {
            let Ok(len) = socket.recv(&mut buffer) else {
                continue;
            };
            complete_checksum(&mut buffer[..len]);
            let (now, bytes) = (Instant::now(), len as u64);
            while let Some((at, bytes)) = waiting.front()
                && *at <= now
            {
                waiting_bytes -= bytes;
                waiting.pop_front();
            }
            let is_lost = self.luck.below(1000) < self.shape.lost_of_thousand;
            let is_cut = self.is_cut.load(Ordering::SeqCst);
            if is_cut || is_lost || waiting_bytes + bytes > self.shape.queue_bytes {
                continue;
            }
            let takes = Duration::from_secs_f64(bytes as f64 / self.rate as f64);
            line_free_at = line_free_at.max(now) + takes;
            waiting.push_back((line_free_at, bytes));
            waiting_bytes += bytes;
            let parcel = Parcel {
                due: line_free_at + self.shape.round_trip / 2,
                bytes: buffer[..len].to_vec(),
            };
            if parcels.send(parcel).is_err() {
                return;
            }
        }
    }
}

fn deliver(to: &Side, parcels: &Receiver<Parcel>) {
    for Parcel { due, bytes } in parcels {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        // A packet that the device doesn't take is lost.
        let _ = to.socket.send_to(&bytes, to.device);
    }
}

/// Writes the checksum of the TCP segment in a datagram: devices that never leave a machine do without.
fn complete_checksum(datagram: &mut [u8]) {
    const HEADS: usize = VXLAN_BYTES + ETHERNET_BYTES;
    let Some(packet) = datagram.get_mut(HEADS..) else {
        return;
    };
    if packet.len() < 40 || packet[0] >> 4 != 4 || packet[9] != TCP {
        return;
    }
    let head = usize::from(packet[0] & 15) * 4;
    let len = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
    if len > packet.len() || head + 20 > len {
        return;
    }
    let addresses: Vec<u8> = packet[12..20].to_vec();
    let segment = &mut packet[head..len];
    segment[16..18].fill(0);
    let words = |bytes: &[u8]| -> u32 {
        let pairs = bytes.chunks(2);
        pairs
            .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)))
            .sum()
    };
    // RFC 9293 section 3.1: over the segment, and a head of addresses, protocol and length.
    let mut sum = words(&addresses) + words(segment) + u32::from(TCP) + segment.len() as u32;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    segment[16..18].copy_from_slice(&(!(sum as u16)).to_be_bytes());
}

/// Bytes of the heads before a packet.
const VXLAN_BYTES: usize = 8;
const ETHERNET_BYTES: usize = 14;

/// The number of TCP among the protocols on IP.
const TCP: u8 = 6;

/// The time between two checks whether the link was dropped.
const LOOK: Duration = Duration::from_millis(200);

/// splitmix64.
struct Luck(u64);

impl Luck {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_of_a_segment_is_completed() {
        // A SYN from 10.77.1.2 to 10.77.2.2, by hand.
        let mut datagram = vec![0; VXLAN_BYTES + ETHERNET_BYTES];
        datagram.extend([0x45, 0, 0, 40, 0, 0, 0, 0, 64, TCP, 0, 0]);
        datagram.extend([10, 77, 1, 2, 10, 77, 2, 2]);
        datagram.extend([0x30, 0x39, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0x20, 0]);
        datagram.extend([0xde, 0xad, 0, 0]);
        complete_checksum(&mut datagram);
        let segment = &datagram[VXLAN_BYTES + ETHERNET_BYTES + 20..];
        // With its checksum the sum of all words is 0xffff.
        let mut sum: u32 = 6 + 20;
        for pair in [10, 77, 1, 2, 10, 77, 2, 2]
            .chunks(2)
            .chain(segment.chunks(2))
        {
            sum += u32::from(pair[0]) << 8 | u32::from(pair[1]);
        }
        assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff);
    }
}

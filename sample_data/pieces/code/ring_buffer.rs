//! A ring buffer for the thermometer in the cellar: it keeps the last `N` readings and forgets
//! the older ones, without ever asking for more memory than it was given at the start.
//!
//! Think of a round table with N seats. Each new guest takes the next seat; when all of them are
//! taken, whoever has been sitting there for the longest time has to get up.

pub struct RingBuffer<const N: usize> {
    seats: [f32; N],
    /// The seat for the next reading.
    next: usize,
    /// How many seats are taken; it grows up to N and stays there.
    taken: usize,
}

impl<const N: usize> RingBuffer<N> {
    /// An empty table. A table without any seats would be of no use, so it is refused.
    pub fn new() -> Self {
        assert!(N > 0, "a ring buffer needs at least one seat");
        RingBuffer { seats: [0.0; N], next: 0, taken: 0 }
    }

    /// Adds a reading, and returns the one that had to leave, if there was any.
    pub fn push(&mut self, reading: f32) -> Option<f32> {
        let old = if self.taken == N { Some(self.seats[self.next]) } else { None };
        self.seats[self.next] = reading;
        self.next = (self.next + 1) % N;
        self.taken = (self.taken + 1).min(N);
        old
    }

    /// The readings from the oldest to the newest.
    pub fn iter(&self) -> impl Iterator<Item = f32> + '_ {
        // Adding N before subtracting keeps the unsigned number from falling below zero.
        let first = (self.next + N - self.taken) % N;
        (0..self.taken).map(move |step| self.seats[(first + step) % N])
    }

    /// The mean of what is there, or nothing at all while the table is empty.
    pub fn mean(&self) -> Option<f32> {
        if self.taken == 0 {
            return None;
        }
        Some(self.iter().sum::<f32>() / self.taken as f32)
    }
}

#[test]
fn the_oldest_guest_leaves_first() {
    let mut table = RingBuffer::<2>::new();
    assert_eq!(table.push(4.0), None);
    assert_eq!(table.push(5.0), None);
    assert_eq!(table.push(6.0), Some(4.0));
    assert_eq!(table.iter().collect::<Vec<_>>(), vec![5.0, 6.0]);
    assert_eq!(table.mean(), Some(5.5));
}

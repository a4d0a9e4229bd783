//! Pages of lists that are ordered by id.

use domain::{
    clock::Timestamp,
    id::Id,
    page::{Cursor, Order, Page, PageRequest},
};

/// Above every id.
const END: [u8; 21] = [0xff; 21];
/// Ids are exact to this, in microseconds.
const ID_STEP: i64 = 4_000;

/// Which ids to look at, in which direction. Both bounds are exclusive.
#[derive(Clone, Debug)]
pub struct Window {
    /// Ids are above this.
    pub above: Vec<u8>,
    /// Ids are below this.
    pub below: Vec<u8>,
    descending: bool,
    /// Found in the direction opposite to the list's order.
    backwards: bool,
    limit: usize,
}

impl Window {
    /// What a page asks for.
    pub fn new<I: Id>(page: &PageRequest<I>) -> Self {
        let backwards = matches!(page.cursor, Some(Cursor::Before(_)));
        let descending = (page.order == Order::Descending) != backwards;
        let mut window = Self {
            above: Vec::new(),
            below: END.to_vec(),
            descending,
            backwards,
            limit: usize::from(page.limit),
        };
        if let Some(Cursor::After(key) | Cursor::Before(key)) = &page.cursor {
            let bound = key.raw().to_vec();
            if descending { window.below = bound } else { window.above = bound }
        }
        window
    }

    /// Only ids whose time is later than `after` and earlier than `before`.
    pub fn within<I: Id>(
        mut self,
        after: Option<Timestamp>,
        before: Option<Timestamp>,
        floor: fn(Timestamp) -> I,
    ) -> Self {
        if let Some(after) = after {
            // All ids of the step that `after` falls into are as old as it, or older.
            let mut last = floor(after).raw().to_vec();
            last[5..].fill(0xff);
            self.above = self.above.max(last);
        }
        if let Some(before) = before {
            // Those of the step that `before` begins are not earlier.
            let micros = before.as_micros();
            let step = micros.saturating_add(ID_STEP - 1).div_euclid(ID_STEP) * ID_STEP;
            let first = floor(Timestamp::from_micros(step)).raw().to_vec();
            self.below = self.below.min(first);
        }
        self
    }

    /// For `ORDER BY`.
    pub fn direction(&self) -> &'static str {
        if self.descending { "DESC" } else { "ASC" }
    }

    /// Whether rows are looked for from the highest id down.
    pub fn is_descending(&self) -> bool {
        self.descending
    }

    /// Whether an id is to be looked at.
    pub fn holds<I: Id>(&self, id: &I) -> bool {
        let raw = id.raw().as_slice();
        self.above.as_slice() < raw && raw < self.below.as_slice()
    }

    /// Rows to look for: one more than the page holds, to know whether there are more.
    pub fn wanted(&self) -> usize {
        self.limit + 1
    }

    /// The page, from what was found in the direction asked for, by a search that ran to its end.
    pub fn page<T>(&self, items: Vec<T>) -> Page<T> {
        self.page_until(items, None)
    }

    /// The same of a search that stopped at a bound behind `reached`, unless that is `None`.
    pub fn page_until<T>(&self, mut items: Vec<T>, reached: Option<[u8; 20]>) -> Page<T> {
        // Of a full page the last item tells where to go on.
        let reached = reached.filter(|_| items.len() <= self.limit);
        let done = reached.is_none() && items.len() <= self.limit;
        items.truncate(self.limit);
        if self.backwards {
            items.reverse();
        }
        Page { items, done, reached }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::{entropy::SeededEntropy, id::MessageId};

    use super::*;

    #[test]
    fn time_bounds_are_exclusive() {
        let entropy = SeededEntropy::new(3);
        let start = Timestamp::from_secs(1_790_000_000);
        let page = PageRequest::<MessageId> { limit: 10, order: Order::Ascending, cursor: None };
        for offset in [0, 1, 3_999, 4_000, 4_001, 999_999] {
            let bound = start.plus(Duration::from_micros(offset));
            for at in (0..1_100_000).step_by(1_000) {
                let id = MessageId::generate(start.plus(Duration::from_micros(at)), &entropy);
                let within = |after, before| {
                    Window::new(&page).within(after, before, MessageId::floor).holds(&id)
                };
                let time = id.timestamp();
                assert_eq!(within(Some(bound), None), time > bound, "{time} after {bound}");
                assert_eq!(within(None, Some(bound)), time < bound, "{time} before {bound}");
            }
        }
    }
}

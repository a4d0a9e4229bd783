//! How many searches go on at a time.

use std::sync::Arc;

use domain::id::ApplicationId;
use parking_lot::Mutex;

/// Most searches of one node.
const MOST: usize = 8;
/// Most searches of one application, so that none keeps the others out.
const MOST_OF_ONE: usize = 2;

/// The searches of a node.
#[derive(Clone, Default)]
pub struct Slots(Arc<Mutex<Vec<ApplicationId>>>);

/// The right to search, until it is dropped.
pub struct Slot {
    slots: Slots,
    app: ApplicationId,
}

impl Slots {
    /// A slot for a search of this application; `None` if there is none free.
    pub fn take(&self, app: ApplicationId) -> Option<Slot> {
        let mut taken = self.0.lock();
        let of_app = taken.iter().filter(|other| **other == app).count();
        if taken.len() >= MOST || of_app >= MOST_OF_ONE {
            return None;
        }
        taken.push(app);
        Some(Slot { slots: self.clone(), app })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.0.lock();
        if let Some(at) = taken.iter().position(|app| *app == self.app) {
            taken.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(n: u8) -> ApplicationId {
        ApplicationId::from_raw([n; 20])
    }

    #[test]
    fn no_application_takes_them_all() {
        let slots = Slots::default();
        let mut taken: Vec<Slot> = (0..MOST_OF_ONE).filter_map(|_| slots.take(app(0))).collect();
        assert_eq!(taken.len(), MOST_OF_ONE);
        assert!(slots.take(app(0)).is_none());
        taken.extend((1..).map_while(|n| slots.take(app(n))));
        assert_eq!(taken.len(), MOST);
        taken.remove(0);
        assert!(slots.take(app(0)).is_some());
    }
}

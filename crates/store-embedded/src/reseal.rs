//! A new master key: everything that is sealed is sealed again, a few rows at a time. What is
//! interrupted goes on when it is called again: until the end, both keys open.

use store::StoreError;

use crate::{EmbeddedStore, alerts, catalog, publish, rejected, schema, tx::Tx, writer::Label};

/// Rows in one transaction.
const STEP_ROWS: usize = 200;

impl EmbeddedStore {
    /// Seals everything with the vault's newest key that is not yet. Returns how many rows that were.
    /// Afterwards the older keys are not needed any more.
    pub async fn reseal(&self) -> Result<usize, StoreError> {
        let label = Label { rows: STEP_ROWS, ..Label::other("reseal") };
        let mut resealed = 0;
        for part in [
            catalog::reseal_applications,
            catalog::reseal_endpoints,
            catalog::past_headers::reseal,
            rejected::reseal,
        ] {
            let mut after = Some(0);
            while let Some(from) = after {
                let step = move |tx: &mut Tx<'_>| part(tx, from, STEP_ROWS);
                let (last, rows) = self.writer.write(label, step).await?;
                (after, resealed) = (last, resealed + rows);
            }
        }
        let mut after = Some((0, [0; 16]));
        while let Some(from) = after {
            let step = move |tx: &mut Tx<'_>| publish::reseal_responses(tx, from, STEP_ROWS);
            let (last, rows) = self.writer.write(label, step).await?;
            (after, resealed) = (last, resealed + rows);
        }
        let mut after = Some(([0; 20], [0; 20]));
        while let Some(from) = after {
            let step = move |tx: &mut Tx<'_>| alerts::reseal(tx, from, STEP_ROWS);
            let (last, rows) = self.writer.write(label, step).await?;
            (after, resealed) = (last, resealed + rows);
        }
        self.writer.write(label, |tx| schema::write_key_check(tx.conn, &tx.ports.vault)).await?;
        Ok(resealed)
    }
}

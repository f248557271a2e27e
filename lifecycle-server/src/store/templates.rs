//! Templates.

use super::{
    Store, StoreError,
    database::{Row, sql},
    row,
};
use crate::sandbox::{Phase, Template};

impl Store {
    pub(crate) async fn insert_template(&self, template: &Template) -> Result<(), StoreError> {
        self.database.execute(sql(
            "INSERT INTO templates (id, document, phase, message, image_id, manifest_ref, created_at, updated_at, \
             tenant, owner) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(&template.id)
        .bind(row::json(&template.content, &template.id, "document")?)
        .bind(template.phase.as_str())
        .bind(&template.message)
        .bind(&template.image_id)
        .bind(&template.manifest_ref)
        .bind(template.created_at.timestamp_micros())
        .bind(template.updated_at.timestamp_micros())
        .bind(&template.tenant)
        .bind(&*self.owner)).await?;
        Ok(())
    }

    /// Writes everything about a template that can change.
    pub(crate) async fn update_template(&self, template: &Template) -> Result<(), StoreError> {
        self.database.execute(sql(
            "UPDATE templates SET phase = $1, message = $2, image_id = $3, manifest_ref = $4, updated_at = $5 \
             WHERE id = $6",
        )
        .bind(template.phase.as_str())
        .bind(&template.message)
        .bind(&template.image_id)
        .bind(&template.manifest_ref)
        .bind(template.updated_at.timestamp_micros())
        .bind(&template.id)).await?;
        Ok(())
    }

    pub(crate) async fn delete_template(&self, id: &str) -> Result<(), StoreError> {
        self.database.execute(sql("DELETE FROM templates WHERE id = $1").bind(id)).await?;
        Ok(())
    }

    pub(crate) async fn load_templates(&self) -> Result<Vec<Template>, StoreError> {
        let rows = self
            .database
            .fetch_all(sql("SELECT * FROM templates WHERE owner = $1 ORDER BY id").bind(&*self.owner))
            .await?;
        rows.iter().map(read).collect()
    }
}

pub(super) fn read(row: &Row) -> Result<Template, StoreError> {
    let id: String = row.get("id")?;
    let phase: String = row.get("phase")?;
    let unknown = || StoreError::Corrupt { id: id.clone(), column: "phase", value: phase.clone() };
    Ok(Template {
        content: row::parse(row, &id, "document")?,
        phase: Phase::parse(&phase).ok_or_else(unknown)?,
        message: row.get("message")?,
        image_id: row.get("image_id")?,
        manifest_ref: row.get("manifest_ref")?,
        created_at: row::instant(row.get("created_at")?, &id, "created_at")?,
        updated_at: row::instant(row.get("updated_at")?, &id, "updated_at")?,
        tenant: row.get("tenant")?,
        id,
    })
}

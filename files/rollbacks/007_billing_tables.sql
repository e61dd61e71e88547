-- Rollback: 007_billing_tables
-- Description: Drops service codes, invoices, line items and payments
-- Lost: every invoice, line item and payment, and the service catalog.
-- Keep a backup: these are accounting records.

DROP TABLE IF EXISTS payments CASCADE;
DROP TABLE IF EXISTS invoice_line_items CASCADE;
DROP TABLE IF EXISTS invoices CASCADE;
DROP TABLE IF EXISTS pt_service_codes CASCADE;

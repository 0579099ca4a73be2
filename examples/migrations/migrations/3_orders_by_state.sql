-- no-transaction
CREATE INDEX CONCURRENTLY orders_by_state ON orders (state);

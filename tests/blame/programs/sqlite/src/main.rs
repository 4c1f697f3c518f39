fn main() -> Result<(), Box<dyn std::error::Error>> {
    let database = rusqlite::Connection::open(std::env::args().nth(1).unwrap_or(":memory:".into()))?;
    database.execute_batch("create table t (name text, packed blob)")?;
    let packed = zstd::encode_all(&b"hello hello hello"[..], 3)?;
    database.execute("insert into t values (?1, ?2)", rusqlite::params!["hello", packed])?;
    let count: i64 = database.query_row("select count(*) from t", [], |row| row.get(0))?;
    println!("{count}");
    Ok(())
}

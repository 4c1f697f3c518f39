use std::io::Write;

use openssl::ssl::{SslConnector, SslMethod};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let connector = SslConnector::builder(SslMethod::tls())?.build();
    if let Ok(stream) = std::net::TcpStream::connect("127.0.0.1:443") {
        connector.connect("localhost", stream)?.write_all(b"hello")?;
    }
    println!("{}", openssl::version::version());
    Ok(())
}

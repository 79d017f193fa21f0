//! Bodies of every size come back byte for byte. `cargo bench --bench echo` does the same with ten thousand of them.

use harness::{Httpd, MIRROR, Site, echo};

#[test]
fn random_bodies_come_back_byte_for_byte_over_sixteen_connections() {
    let site = Httpd::site("processes=2 threads=5", MIRROR).start();
    let port = site.port();
    let clients: Vec<_> = (1..=16).map(|seed| std::thread::spawn(move || echo(port, seed, 19))).collect();
    for client in clients {
        client.join().expect("every body comes back");
    }
    site.finish();
}

//! One line about the machine and the versions, for the head of the results.

fn main() {
    println!("{}", vidstream_bench::table::machine());
}

//! Owns writing a set as a folder of migrations: `sets SET FOLDER`.

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    bootmigrate_bench::write_folder(&words[0], usize::MAX, words[1].as_ref());
}

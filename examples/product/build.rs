fn main() {
    bootmigrate_build::embed("migrations")
}

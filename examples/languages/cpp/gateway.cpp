// Waits for the ready file, and counts the notes.
#include <sqlite3.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <thread>

namespace {

constexpr int kTempFail = 75;

std::string variable(const char* name, const char* otherwise) {
    const char* value = std::getenv(name);
    return value != nullptr ? value : otherwise;
}

int count_notes(const std::string& path) {
    sqlite3* database = nullptr;
    sqlite3_stmt* statement = nullptr;
    int count = -1;
    if (sqlite3_open_v2(path.c_str(), &database, SQLITE_OPEN_READWRITE, nullptr) == SQLITE_OK &&
        sqlite3_prepare_v2(database, "SELECT count(*) FROM note", -1, &statement, nullptr) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        count = sqlite3_column_int(statement, 0);
    } else {
        std::cerr << sqlite3_errmsg(database) << '\n';
    }
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return count;
}

}  // namespace

int main() {
    const auto root = variable("NOTES_ROOT", "");
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(std::stoi(variable("NOTES_WAIT_S", "60")));
    while (!std::filesystem::exists(root + "/run/bootmigrate/ready/notes")) {
        if (std::chrono::steady_clock::now() >= until) {
            std::cerr << "notes is not ready\n";
            return kTempFail;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    const int count = count_notes(root + "/var/lib/notes/notes.db");
    if (count < 0) {
        return 1;
    }
    std::cout << count << " notes\n";
    return 0;
}

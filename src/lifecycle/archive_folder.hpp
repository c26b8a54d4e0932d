// Files and folders of archives, reached step by step from one folder that the superuser named, so that no name and no
// symbolic link leads out of it. Failures are std::system_error with the name of what failed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace citadel::lifecycle {

// An open file or folder.
class Descriptor {
  public:
    Descriptor() = default;
    explicit Descriptor(int fd) : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
    Descriptor& operator=(Descriptor&& other) noexcept;
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() { close(); }
    int get() const { return fd_; }
    void close();

  private:
    int fd_ = -1;
};

// The steps from `root` to `folder`, which is given relative to it or with it in front. Throws std::invalid_argument
// when a step is empty, '.' or '..', or when an absolute `folder` does not lie below `root`.
std::vector<std::string> steps_below(std::string_view root, std::string_view folder);

class Folder {
  public:
    // The root alone may be reached through symbolic links: the superuser named it. Must exist.
    static Folder open_root(const std::string& path);
    // A folder inside. With `create` it is made (mode 0700) when it is not there.
    Folder enter(const std::string& name, bool create = false) const;
    bool contains(const std::string& name) const;
    std::vector<std::string> list() const;
    // For writing; must not exist yet. Mode 0600.
    Descriptor create(const std::string& name) const;
    // For reading; must be a regular file.
    Descriptor open(const std::string& name) const;
    // Fails when `to` exists.
    void rename(const std::string& from, const std::string& to) const;
    // A file; what is not there is no failure.
    void remove(const std::string& name) const;
    // A folder of files; what is not there is no failure. Fails when there are folders inside.
    void remove_folder(const std::string& name) const;
    // Makes creations, renames and removals inside outlast a crash.
    void sync() const;
    const std::string& path() const { return path_; }

  private:
    Folder(Descriptor descriptor, std::string path) : descriptor_(std::move(descriptor)), path_(std::move(path)) {}
    std::string path_of(const std::string& name) const { return path_ + "/" + name; }
    Descriptor descriptor_;
    std::string path_; // for messages
};

// Writes all of it; a full disk is an error here.
void write_all(const Descriptor& file, const char* data, std::size_t bytes, const std::string& path);
std::size_t read_some(const Descriptor& file, char* data, std::size_t bytes, const std::string& path);
void sync_file(const Descriptor& file, const std::string& path);
std::int64_t file_size(const Descriptor& file, const std::string& path);

} // namespace citadel::lifecycle

#include "lifecycle/archive_folder.hpp"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <stdexcept>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace citadel::lifecycle {

namespace {

[[noreturn]] void fail(const char* doing, const std::string& path) {
    throw std::system_error(errno, std::generic_category(), std::string("could not ") + doing + " \"" + path + "\"");
}

// One name, not a path: the last line of defence, for names that come from tables and manifests.
void check_name(const std::string& name) {
    if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos ||
        name.find('\0') != std::string::npos)
        throw std::invalid_argument("\"" + name + "\" is no name of a file or folder");
}

std::vector<std::string> steps_of(std::string_view path) {
    std::vector<std::string> steps;
    while (!path.empty()) {
        const std::size_t slash = path.find('/');
        steps.emplace_back(path.substr(0, slash));
        path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
    }
    return steps;
}

} // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
    if (this != &other) {
        close();
        fd_ = other.fd_;
        other.fd_ = -1;
    }
    return *this;
}

void Descriptor::close() {
    if (fd_ >= 0)
        ::close(fd_);
    fd_ = -1;
}

std::vector<std::string> steps_below(std::string_view root, std::string_view folder) {
    while (root.size() > 1 && root.back() == '/')
        root.remove_suffix(1);
    const std::string full(folder);
    if (!folder.empty() && folder.front() == '/') {
        const bool below = folder.substr(0, root.size()) == root &&
                           (folder.size() == root.size() || folder[root.size()] == '/' || root == "/");
        if (!below)
            throw std::invalid_argument("\"" + full + "\" does not lie in \"" + std::string(root) + "\"");
        folder.remove_prefix(root.size());
        if (!folder.empty() && folder.front() == '/')
            folder.remove_prefix(1);
    }
    if (!folder.empty() && folder.back() == '/')
        folder.remove_suffix(1);
    std::vector<std::string> steps = steps_of(folder);
    for (const std::string& step : steps)
        if (step.empty() || step == "." || step == ".." || step.find('\0') != std::string::npos)
            throw std::invalid_argument("\"" + full + "\" has a step that is empty, \".\" or \"..\"");
    return steps;
}

Folder Folder::open_root(const std::string& path) {
    Descriptor descriptor(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (descriptor.get() < 0)
        fail("open folder", path);
    return {std::move(descriptor), path};
}

Folder Folder::enter(const std::string& name, bool create) const {
    check_name(name);
    if (create && ::mkdirat(descriptor_.get(), name.c_str(), 0700) == 0)
        sync();
    else if (create && errno != EEXIST)
        fail("create folder", path_of(name));
    Descriptor descriptor(::openat(descriptor_.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (descriptor.get() < 0)
        fail("open folder", path_of(name));
    return {std::move(descriptor), path_of(name)};
}

bool Folder::contains(const std::string& name) const {
    check_name(name);
    struct stat status {};
    if (::fstatat(descriptor_.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0)
        return true;
    if (errno != ENOENT)
        fail("look at", path_of(name));
    return false;
}

std::vector<std::string> Folder::list() const {
    // A descriptor of its own: reading moves its position.
    const int fd = ::openat(descriptor_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        fail("open folder", path_);
    struct Close {
        void operator()(DIR* stream) const { ::closedir(stream); }
    };
    const std::unique_ptr<DIR, Close> stream(::fdopendir(fd));
    if (!stream) {
        ::close(fd);
        fail("read folder", path_);
    }
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(stream.get())) { // NOLINT(concurrency-mt-unsafe): the stream is ours alone
        const std::string name = entry->d_name;
        if (name != "." && name != "..")
            names.push_back(name);
        errno = 0;
    }
    if (errno != 0)
        fail("read folder", path_);
    std::sort(names.begin(), names.end());
    return names;
}

Descriptor Folder::create(const std::string& name) const {
    check_name(name);
    Descriptor file(
        ::openat(descriptor_.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (file.get() < 0)
        fail("create file", path_of(name));
    return file;
}

Descriptor Folder::open(const std::string& name) const {
    check_name(name);
    // Not blocking: a pipe of that name must not hold us up.
    Descriptor file(::openat(descriptor_.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (file.get() < 0)
        fail("open file", path_of(name));
    struct stat status {};
    if (::fstat(file.get(), &status) != 0)
        fail("look at", path_of(name));
    if (!S_ISREG(status.st_mode)) {
        errno = EINVAL;
        fail("read, because it is no regular file,", path_of(name));
    }
    return file;
}

void Folder::rename(const std::string& from, const std::string& to) const {
    check_name(from);
    check_name(to);
    if (::renameat2(descriptor_.get(), from.c_str(), descriptor_.get(), to.c_str(), RENAME_NOREPLACE) == 0)
        return;
    // Not every file system knows how not to replace.
    if (errno != EINVAL && errno != ENOSYS)
        fail("rename", path_of(from));
    if (contains(to)) {
        errno = EEXIST;
        fail("rename to", path_of(to));
    }
    if (::renameat(descriptor_.get(), from.c_str(), descriptor_.get(), to.c_str()) != 0)
        fail("rename", path_of(from));
}

void Folder::remove(const std::string& name) const {
    check_name(name);
    if (::unlinkat(descriptor_.get(), name.c_str(), 0) != 0 && errno != ENOENT)
        fail("remove file", path_of(name));
}

void Folder::remove_folder(const std::string& name) const {
    if (!contains(name))
        return;
    {
        const Folder inside = enter(name);
        for (const std::string& file : inside.list())
            inside.remove(file);
    }
    if (::unlinkat(descriptor_.get(), name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
        fail("remove folder", path_of(name));
}

void Folder::sync() const {
    sync_file(descriptor_, path_);
}

void write_all(const Descriptor& file, const char* data, std::size_t bytes, const std::string& path) {
    while (bytes > 0) {
        const ssize_t written = ::write(file.get(), data, bytes);
        if (written < 0) {
            if (errno == EINTR)
                continue;
            fail("write to file", path);
        }
        data += written;
        bytes -= static_cast<std::size_t>(written);
    }
}

std::size_t read_some(const Descriptor& file, char* data, std::size_t bytes, const std::string& path) {
    for (;;) {
        const ssize_t got = ::read(file.get(), data, bytes);
        if (got >= 0)
            return static_cast<std::size_t>(got);
        if (errno != EINTR)
            fail("read file", path);
    }
}

void sync_file(const Descriptor& file, const std::string& path) {
    if (::fsync(file.get()) != 0)
        fail("write to disk", path);
}

std::int64_t file_size(const Descriptor& file, const std::string& path) {
    struct stat status {};
    if (::fstat(file.get(), &status) != 0)
        fail("look at", path);
    return status.st_size;
}

} // namespace citadel::lifecycle

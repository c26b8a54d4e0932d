#include "lifecycle/archive_folder.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <cerrno>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>

using citadel::lifecycle::Descriptor;
using citadel::lifecycle::Folder;
using citadel::lifecycle::steps_below;
namespace fs = std::filesystem;

namespace {

class ArchiveFolder : public testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = (fs::temp_directory_path() / "citadel_folder_XXXXXX").string();
        ASSERT_NE(mkdtemp(pattern.data()), nullptr);
        path = pattern;
        fs::create_directory(path / "root");
        fs::create_directory(path / "outside");
        std::ofstream(path / "outside" / "secret") << "secret";
    }
    void TearDown() override { fs::remove_all(path); }
    Folder root() const { return Folder::open_root((path / "root").string()); }
    fs::path path;
};

} // namespace

TEST(StepsBelow, StayBelow) {
    const std::vector<std::string> a_b = {"a", "b"};
    EXPECT_EQ(steps_below("/archive", "a/b"), a_b);
    EXPECT_EQ(steps_below("/archive", "/archive/a/b/"), a_b);
    EXPECT_EQ(steps_below("/archive/", "/archive/a/b"), a_b);
    EXPECT_TRUE(steps_below("/archive", "").empty());
    EXPECT_TRUE(steps_below("/archive", "/archive").empty());
    for (const char* folder : {"/archives", "/archive2/a", "/", "/etc", "..", "../x", "a/../../x", "a//b", "./a", "a/.",
                               "/archive/../etc", "/archive/a/..", "/archive//a"})
        EXPECT_THROW(steps_below("/archive", folder), std::invalid_argument) << folder;
    EXPECT_THROW(steps_below("/archive", std::string_view("a\0b", 3)), std::invalid_argument);
}

TEST_F(ArchiveFolder, WritesReadsRenamesRemoves) {
    const Folder folder = root().enter("new", true);
    {
        const Descriptor file = folder.create("file.partial");
        write_all(file, "hello", 5, "file");
        sync_file(file, "file");
    }
    folder.rename("file.partial", "file");
    folder.sync();
    EXPECT_TRUE(folder.contains("file"));
    EXPECT_FALSE(folder.contains("file.partial"));
    const Descriptor file = folder.open("file");
    EXPECT_EQ(file_size(file, "file"), 5);
    char data[10];
    EXPECT_EQ(read_some(file, data, sizeof data, "file"), 5U);
    EXPECT_EQ(read_some(file, data, sizeof data, "file"), 0U);
    EXPECT_EQ(folder.list(), std::vector<std::string>{"file"});
    root().remove_folder("new");
    root().remove_folder("new");
    EXPECT_FALSE(root().contains("new"));
    struct stat status {};
    const Folder made = root().enter("mode", true);
    ASSERT_EQ(stat((path / "root" / "mode").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0700U);
}

TEST_F(ArchiveFolder, NeverOverwrites) {
    const Folder folder = root();
    (void)folder.create("a");
    (void)folder.create("b");
    EXPECT_THROW((void)folder.create("a"), std::system_error);
    EXPECT_THROW(folder.rename("a", "b"), std::system_error);
    (void)folder.enter("c", true);
    (void)folder.enter("d", true);
    EXPECT_THROW(folder.rename("c", "d"), std::system_error);
}

TEST_F(ArchiveFolder, FollowsNoSymbolicLink) {
    fs::create_directory_symlink(path / "outside", path / "root" / "link");
    fs::create_symlink(path / "outside" / "secret", path / "root" / "file");
    fs::create_symlink(path / "outside" / "made", path / "root" / "dangling");
    EXPECT_THROW((void)root().enter("link"), std::system_error);
    EXPECT_THROW((void)root().enter("link", true), std::system_error);
    EXPECT_THROW((void)root().open("file"), std::system_error);
    EXPECT_THROW((void)root().create("dangling"), std::system_error);
    EXPECT_FALSE(fs::exists(path / "outside" / "made"));
    // Removing a folder removes a link in it, not what it points to.
    (void)root().enter("folder", true);
    fs::create_symlink(path / "outside" / "secret", path / "root" / "folder" / "file");
    root().remove_folder("folder");
    EXPECT_TRUE(fs::exists(path / "outside" / "secret"));
    EXPECT_THROW(root().remove_folder("link"), std::system_error);
}

TEST_F(ArchiveFolder, TakesNamesNotPaths) {
    for (const char* name : {"", ".", "..", "a/b", "/etc/passwd", "../outside"}) {
        EXPECT_THROW((void)root().enter(name, true), std::invalid_argument) << name;
        EXPECT_THROW((void)root().open(name), std::invalid_argument) << name;
        EXPECT_THROW((void)root().create(name), std::invalid_argument) << name;
        EXPECT_THROW(root().remove(name), std::invalid_argument) << name;
        EXPECT_THROW(root().remove_folder(name), std::invalid_argument) << name;
        EXPECT_THROW(root().rename("a", name), std::invalid_argument) << name;
    }
}

TEST_F(ArchiveFolder, ReadsRegularFilesOnly) {
    ASSERT_EQ(mkfifo((path / "root" / "pipe").c_str(), 0600), 0);
    EXPECT_THROW((void)root().open("pipe"), std::system_error);
    fs::create_directory(path / "root" / "folder");
    EXPECT_THROW((void)root().open("folder"), std::system_error);
    EXPECT_THROW((void)root().open("missing"), std::system_error);
}

TEST_F(ArchiveFolder, AFullDiskIsAnError) {
    const Descriptor full(::open("/dev/full", O_WRONLY)); // NOLINT(cppcoreguidelines-pro-type-vararg)
    if (full.get() < 0)
        GTEST_SKIP() << "no /dev/full here";
    try {
        write_all(full, "x", 1, "full");
        FAIL();
    } catch (const std::system_error& error) {
        EXPECT_EQ(error.code().value(), ENOSPC);
    }
}

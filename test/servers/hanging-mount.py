# Shows a folder as a file system of its own (FUSE) that obeys a file: while that holds the name of an operation, calls of it are neither
# answered nor refused, as those of a file system whose server is gone. Usage: hanging-mount.py FOLDER MOUNTPOINT RULE
import errno
import os
import sys
import time

from fusepy import FUSE, FuseOSError, Operations

root, mountpoint, rule = sys.argv[1:4]


def wanted():
    with open(rule) as file:
        return file.read().strip()


class Hanging(Operations):
    def __call__(self, operation, path, *rest):
        if wanted() == operation:
            with open(rule + '.met', 'a') as met:
                met.write(operation + '\n')
            while wanted() == operation:
                time.sleep(0.05)
        try:
            return super().__call__(operation, root + path if path else path, *rest)
        except OSError as error:
            raise FuseOSError(error.errno or errno.EIO)

    def getattr(self, path, handle=None):
        found = os.lstat(path)
        names = ('st_atime', 'st_ctime', 'st_gid', 'st_mode', 'st_mtime', 'st_nlink', 'st_size', 'st_uid', 'st_ino')
        return {name: getattr(found, name) for name in names}

    def readdir(self, path, handle):
        return ['.', '..', *os.listdir(path)]

    def mkdir(self, path, mode):
        os.mkdir(path, mode)

    def rmdir(self, path):
        os.rmdir(path)

    def unlink(self, path):
        os.unlink(path)

    def rename(self, old, new):
        os.rename(old, root + new)

    def link(self, target, source):
        os.link(root + source, target)

    def open(self, path, flags):
        return os.open(path, flags)

    def create(self, path, mode, info=None):
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    def read(self, path, size, offset, handle):
        return os.pread(handle, size, offset)

    def write(self, path, data, offset, handle):
        return os.pwrite(handle, data, offset)

    def truncate(self, path, length, handle=None):
        os.truncate(path, length)

    def flush(self, path, handle):
        return 0

    def fsync(self, path, datasync, handle):
        return os.fsync(handle)

    def fsyncdir(self, path, datasync, handle):
        return 0

    def release(self, path, handle):
        return os.close(handle)


FUSE(Hanging(), mountpoint, foreground=True, raw_fi=False, big_writes=True, attr_timeout=0, entry_timeout=0, use_ino=True)

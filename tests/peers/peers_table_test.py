#!/usr/bin/env python3
"""Goal: the page of the peers' tests and the tests agree.

Method: reads README.md beside this file and the tests; every case that is listed here has a row, every
row names tests that exist, or says why there is none, and each of these tests here says in its comment
which case it is; every test here has a row.
"""

import glob
import os
import re
import sys

HERE = "tests/peers"

# One case a line.
CASES = {
    "LevelDB, log_test": """
        Empty
        ReadWrite
        ManyBlocks
        Fragmentation
        MarginalTrailer
        MarginalTrailer2
        ShortTrailer
        AlignedEof
        OpenForAppend
        RandomRead
        ReadError
        BadRecordType
        TruncatedTrailingRecordIsIgnored
        BadLength
        BadLengthAtEndIsIgnored
        ChecksumMismatch
        UnexpectedMiddleType
        UnexpectedLastType
        UnexpectedFullType
        UnexpectedFirstType
        MissingLastIsIgnored
        PartialLastIsIgnored
        SkipIntoMultiRecord
        ErrorJoinsRecords
        ReadStart
        ReadSecondOneOff
        ReadSecondTenThousand
        ReadSecondStart
        ReadThirdOneOff
        ReadThirdStart
        ReadFourthOneOff
        ReadFourthFirstBlockTrailer
        ReadFourthMiddleBlock
        ReadFourthLastBlock
        ReadFourthStart
        ReadInitialOffsetIntoBlockPadding
        ReadEnd
        ReadPastEnd
    """,
    "LevelDB, recovery and faults": """
        NoLogFiles
        LogFileReuse
        MultipleLogFiles
        ManifestMissing
        ManifestReused
        LargeManifestCompacted
        Recovery
        RecoverWriteError
        NewFileErrorDuringWrite
        MissingDescriptor
        SequenceNumberRecovery
        CorruptedDescriptor
        FaultTestNoLogReuse
        FaultTestWithLogReuse
        TestCloseOnExec
        TestOpenOnRead
        one transient ENOSPC
        short write, then ENOSPC
    """,
    "LevelDB, issues": """
        #1287
        #251
        #193
        #189
        #195
        #196
        #74
        #75
        #203
    """,
    "RocksDB, log_test": """
        IgnorableRecordType
        TruncatedTrailingRecordIsNotIgnored
        BadLengthAtEndIsNotIgnored
        MissingLastIsNotIgnored
        PartialLastIsNotIgnored
        ClearEofSingleBlock
        ClearEofMultiBlock
        ClearEofError
        ClearEofError2
        TailLog_PartialHeader
        TailLog_FullHeader
        NonBlockingReadFullRecord
        Recycle
        RecycleWithTimestampSize
    """,
    "RocksDB, db_wal_test": """
        SkipDeletedWALs
        RollLog
        SyncWALNotBlockWrite
        SyncWALNotWaitWrite
        Recover
        RecoveryWithEmptyLog
        EmptyWalReopenTest
        RecoveryToleratesEmptyFutureWal
        PreallocateBlock
        FullPurgePreservesRecycledLog
        RecoverWithLargeLog
        SyncMultipleLogs
        SyncWalPartialFailure
        RecycleMultipleWalsCrash
        TrackAndVerifyWALs: one deleted
        TrackAndVerifyWALs: truncated to nothing
        TrackAndVerifyWALs: another size
        TrackAndVerifyWALs: all deleted
        TrackAndVerifyWALs: obsolete
        kTolerateCorruptedTailRecords
        kAbsoluteConsistency
        kPointInTimeRecovery
        kSkipAnyCorruptedRecords
        FixSyncWalOnObseletedWalWithNewManifestCausingMissingWAL
        TruncateLastLogAfterRecoverWithoutFlush
        TruncateLastLogAfterRecoverWithFlush
        TruncateLastLogAfterRecoverWALEmpty
        ReadOnlyRecoveryNoTruncate
        WalTermTest
        RestoreTotalLogSizeAfterRecoverWithoutFlush
        AsyncWalPrecreateWaitsForPendingFile
        AsyncWalPrecreateConsumesReadyFile
        AsyncWalPrecreateRecoveryToleratesActualFutureWal
        AsyncWalPrecreateDeletesFileOnStartFailure
        AsyncWalPrecreateFailureFallsBackToSyncCreation
        WALWriteErrorNoRecovery
    """,
    "RocksDB, faults and corruption": """
        WriteOptionSyncTest
        ManualLogSyncTest
        WriteBatchWalTerminationTest
        ReadUnsyncedData
        PostPITRCorruptionWALsRetained
        FileSystemStateCorrupted
        CrashDuringRecovery
        CrashDuringRecoveryWithFlush
        WALWriteError
        WALWriteRetryableError
        MultiCFWALWriteError
        WALWriteFenced
        db_stress expected state
    """,
    "go-diskqueue and nsq": """
        TestDiskQueue
        TestDiskQueueRoll
        TestDiskQueuePeek
        TestDiskQueueEmpty
        TestDiskQueueCorruption
        TestDiskQueueSyncAfterRead
        TestDiskQueueTorture
        TestDiskQueueResize
        BenchmarkDiskQueuePut, Get
        every sync fails
        #28
        #1514
        #1033
        #471
        #203
        #1275
    """,
    "etcd": """
        TestOpenOnTornWrite
        TestTailWriteNoSlackSpace
        TestRestartCreateWal
        TestRenameFail
        TestCreateFailFromNoSpaceLeft
        TestCreateFailFromPollutedDir
        TestReadAllFail
        TestLastRecordLengthExceedFileEnd
        TestRepairWriteTearLast
        TestRepairWriteTearMiddle
        TestRepairTruncate
        TestRepairFailDeleteDir
        TestReleaseLockTo
        TestFilePipelineFailPreallocate
        TestSaveWithCut
    """,
    "raft-wal": """
        recover empty
        recover first batch
        recover later batch
        recover multi-entry batch
        missing end of commit
        partial initial commit
        torn write with some data in middle of commit missing
        torn write with header in commit corrupt
        empty file
        bad segment header, valid commit
        bad segment header BaseIndex, valid commit
        bad segment header, part of initial commit
        bad segment header BaseIndex, part of initial commit
        sealed tail
        value larger than minBufSize
        recovering with a missing tail file should work
        recover tampered meta store
        TestWriterRecoversFromWriteFailure
        TestConcurrentReadersAndWriter
        TestFileHeaderCodecFuzz
        TestListEdgeCases
    """,
    "Pebble": """
        TestRecycleLog
        TestRecycleLogWithPartialBlock
        TestRecycleLogWithPartialRecord
        TestRecycleLogNumberOverflow
        TestTruncatedLog
        TestWALSync
        TestWALSyncOffsetRandom
        #6031
        TestInvalidLogNum
        TestSyncError
        TestMemFSCrashable
    """,
    "SQLite": """
        crash.test
        crash2.test
        crash3.test
        crash8.test
        walcrash*.test
        writecrash.test
        ioerr*.test
        malloc*.test
        sysfault.test
    """,
}
ROW = re.compile(r"^\| (.*?) \| (.*?) \| (.*?) \|$")
TEST = re.compile(r"((?:^//[^\n]*\n)*)^TEST(?:_[FP])?\(\s*(\w+),\s*(\w+)\)", re.MULTILINE)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def tests_of(pattern):
    """The comment right above each test, by its name."""
    tests = {}
    for path in sorted(glob.glob(pattern)):
        for comment, suite, name in TEST.findall(read(path)):
            tests[suite + "." + name] = " ".join(comment.replace("//", "").split())
    return tests


def rows_of(page):
    rows, section = {}, None
    for line in page.splitlines():
        if line.startswith("## "):
            section = rows.setdefault(line[3:], {})
        row = ROW.match(line)
        if row and section is not None and row.group(1) not in ("case", "---"):
            if row.group(1) in section:
                raise SystemExit("%s stands there twice" % row.group(1))
            section[row.group(1)] = (re.findall(r"`([\w.]+)`", row.group(2)), row.group(3))
    return rows


def main():
    own, others = tests_of(HERE + "/*_test.cc"), tests_of("tests/*_test.cc")
    rows = rows_of(read(HERE + "/README.md"))
    errors, used = [], set()
    for section, cases in CASES.items():
        listed = [line.strip() for line in cases.strip().splitlines()]
        errors += ["%s: no row for %s" % (section, c) for c in listed if c not in rows.get(section, {})]
        errors += ["%s: %s is listed nowhere" % (section, c) for c in rows.get(section, {}) if c not in listed]
    errors += ["no cases of " + section for section in rows if section not in CASES]
    for section in rows.values():
        for case, (tests, differs) in section.items():
            if not tests and len(differs) < 40:
                errors.append("%s: neither a test nor a reason" % case)
            for test in tests:
                used.add(test)
                if test not in own and test not in others:
                    errors.append("%s: there is no test %s" % (case, test))
                # What follows a colon or a comma tells variants of one case apart.
                if test in own and re.split(r"[:,]", case)[0] not in own[test]:
                    errors.append("%s: the comment of %s does not name it" % (case, test))
    errors += ["%s has no row" % test for test in own if test not in used]
    for error in errors:
        print(error)
    print("%d cases, %d tests" % (sum(len(s) for s in rows.values()), len(own)))
    # Fewer would mean that the test no longer sees the files.
    if len(own) < 100 or not others:
        sys.exit("only %d tests found under %s" % (len(own), os.getcwd()))
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    main()

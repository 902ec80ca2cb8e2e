//! The faults, and the case that each must fail.

use serde::Serialize;

macro_rules! faults {
    ($($fault:ident $breaks:literal $what:literal;)+) => {
        /// One broken promise.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
        pub enum Fault {
            $(#[doc = $what] $fault,)+
        }

        impl Fault {
            /// Every fault.
            pub const ALL: &'static [Fault] = &[$(Fault::$fault),+];

            /// Returns the case that names the promise broken.
            pub fn breaks(self) -> &'static str {
                match self {
                    $(Fault::$fault => $breaks,)+
                }
            }

            /// Returns what is wrong, in words.
            pub fn what(self) -> &'static str {
                match self {
                    $(Fault::$fault => $what,)+
                }
            }
        }
    };
}

faults! {
    GetLosesTheLastByte "content_comes_back" "Get loses the last byte.";
    GetCleansText "content_comes_back" "Get replaces bytes that are not UTF-8.";
    ByteOrderMarkIsCut "content_that_looks_special" "Get leaves out a byte order mark.";
    GzipIsDecoded "content_that_looks_special" "Get decodes what looks like gzip.";
    MoveTakesTheContentAway "files_of_one_content" "A move frees a content that other files have too.";
    PutLosesAByteAtFiveMebibytes "content_at_boundaries" "Put of 5 MiB loses its first byte.";
    KeepsMissingForEver "missing_then_there" "What was missing once stays missing.";
    GetMissingIsEmpty "get_missing" "Get of a missing file is empty.";
    GetOfADirectoryIsEmpty "get_directory" "Get of a directory is empty.";
    GetCutsAtTheLimit "get_above_the_limit" "Get of a large file returns its beginning.";
    PutHasASmallerLimit "put_of_the_limit" "Put takes 8 MiB at most.";
    PutCutsAtTheLimit "put_above_the_limit" "Put stores the first 16 MiB.";
    PutRefusesTrailingDots "paths_of_the_grammar" "Put refuses components that end in a dot.";
    PutRefusesReservedNames "names_that_look_special" "Put refuses names that another system reserves.";
    PutCutsLongNames "long_names" "Put cuts names after 128 bytes.";
    LongPathsAreRefused "long_paths" "Put refuses paths of more than 900 bytes.";
    DeepPathsAreRefused "deep_paths" "Put refuses more than 25 components.";
    TrailingDotsAreCut "names_differ_by_dots" "Dots at the end of names are cut.";
    DeleteOfTheRootSucceeds "root_is_no_file" "Delete of the root is taken.";
    PutAppends "put_replaces" "Put appends to what was there.";
    PutKeepsTheFirst "put_replaces" "A second put is forgotten.";
    PutKeepsTheTail "put_shorter_truncates" "Put overwrites in place and keeps the tail of a longer content.";
    PutShowsAPrefix "replace_is_never_a_mix" "Put shows half of the content for a moment.";
    PutDeletesFirst "replace_is_never_absent" "Put deletes the old content first.";
    PutOfNothingIsForgotten "empty_content_is_a_file" "Put of no bytes stores nothing.";
    PutBelowAFileDeletesIt "file_below_a_file" "Put below a file deletes the file.";
    PutOnADirectoryDeletesIt "file_where_a_directory_is" "Put on a directory deletes the directory.";
    PutFoldsCase "names_differ_by_case" "Put folds names to small letters.";
    ReaderEndsEarly "reader_gives_the_whole_file" "A truncated stream ends cleanly.";
    ReaderTellsTheRangesSize "reader_tells_the_whole_size" "A reader tells the range's size as the file's.";
    ReaderIgnoresTheOffset "reader_from_any_offset" "A reader begins at 0 whatever the offset.";
    RangeOneByteLong "reader_of_a_range" "A range is one byte too long.";
    OffsetAtTheEndFails "reader_offset_at_the_end" "An offset at the end fails.";
    OffsetBeyondTheEndIsEmpty "reader_offset_beyond_the_end" "An offset beyond the end gives an empty reader.";
    LengthPastTheEndFails "reader_length_past_the_end" "A length past the end fails.";
    ReaderOfMissingIsEmpty "reader_of_missing" "A reader of a missing file is empty.";
    ReaderOfADirectoryIsEmpty "reader_of_a_directory" "A reader of a directory is empty.";
    RangeLengthIn32Bits "reader_length_above_32_bits" "The length of a range is cut to 32 bits.";
    ReaderLooksAgainAtEachStep "reader_of_a_replaced_file" "A reader looks its path up at each step.";
    ReaderEndsWhenTheFileIsGone "reader_of_a_deleted_file" "A reader ends cleanly when its file is deleted.";
    DroppedReadersLeak "reader_dropped_half_way" "Readers dropped half-way are used up.";
    OneReaderAtATime "readers_at_once" "A second reader at the same time fails.";
    ReordersChunks "commit_makes_the_file_whole" "A writer turns the bytes of each chunk around.";
    CommitLosesTheTail "commit_makes_the_file_whole" "Commit loses what was still buffered.";
    CommitOnlyCloses "commit_makes_the_file_whole" "Commit does not publish.";
    WriterCutsOddChunks "chunks_of_odd_sizes" "A writer loses the last byte of large chunks of an odd size.";
    WriterTakesAThousandWrites "many_small_writes" "A writer forgets what comes after a thousand writes.";
    UploadLosesAByteAtFiveMebibytes "uploads_at_boundaries" "An upload of 5 MiB loses its last byte.";
    WritersShareABuffer "interleaved_writers" "Writers share one buffer.";
    CommitEndsOtherUploads "commit_beside_an_upload" "A commit throws away what other writers had.";
    CommitShowsAPrefix "commit_is_never_a_mix" "A commit shows half of the content for a moment.";
    CommitDeletesFirst "commit_is_never_absent" "A commit deletes the old content first.";
    CommitTellsAnotherSize "commit_returns_the_size" "Commit tells a size one byte off.";
    CommitOfNothingIsForgotten "commit_of_nothing" "Commit without a write makes no file.";
    CommitKeepsTheOld "commit_replaces" "Commit keeps what was there.";
    CommitOnADirectoryDeletesIt "commit_where_a_directory_is" "A writer on a directory deletes the directory.";
    WriterCutsLargeWrites "append_in_large_chunks" "A write keeps its first 8 MiB.";
    WriterNeedsDirectories "writer_below_new_directories" "A writer needs the directories above.";
    DroppedWriterLocks "writer_dropped_half_way" "A dropped writer keeps the path locked.";
    NewContinues "writer_starts_anew" "A new writer continues the old upload.";
    AppendStartsAnew "append_continues" "An append restarts.";
    SizeForgetsWhatWasThere "append_continues" "A continued writer tells only its own bytes.";
    CloseLosesTheTail "append_continues" "Close loses the tail.";
    CloseThrowsAway "append_continues" "Close throws the upload away.";
    AppendToMissingBegins "append_to_missing" "Append where nothing is begins an upload.";
    CloseOfNothingIsForgotten "append_after_closing_empty" "Close without a byte leaves nothing to continue.";
    AppendToEmptyFails "append_to_an_empty_file" "Append to a committed empty file fails.";
    AppendToContentStartsAnew "append_to_content" "Append to committed content starts anew.";
    UploadsKnownToOneInstance "append_by_another_instance" "An upload is known only to the instance that began it.";
    SecondAppendStartsAnew "two_continue_one_upload" "A second append to an open upload starts anew.";
    DroppedWriterCommitsLate "a_commit_wins" "A dropped writer is committed in the background.";
    DroppedCommitsLandLate "a_commit_wins" "A commit whose caller has gone takes effect later.";
    DroppedWriterPutsLate "another_instances_commit_wins" "What a dropped writer had is put in the background.";
    DroppedPutsLandLate "a_put_wins" "A put whose caller has gone takes effect later.";
    DroppedDeletesLandLate "a_put_wins" "A delete whose caller has gone takes effect later.";
    DroppedMovesLandLate "a_put_wins" "A move whose caller has gone takes effect later.";
    DroppedWriterWritesLate "append_after_a_dropped_writer" "A dropped writer adds its last bytes later.";
    AppendUndeclared "append_without_resumable" "Append works and resumable is not declared.";
    NewDeletesTheOld "old_content_until_commit" "A new writer deletes the committed content.";
    UploadShowsOtherBytes "before_the_commit" "Before the commit the path reads as bytes of nobody.";
    UploadsVisible "hidden_until_commit" "A write can be read before the commit.";
    CloseCommits "hidden_until_commit" "Close publishes the upload.";
    CancelLeavesBytes "cancel_leaves_nothing" "Cancel leaves the bytes readable.";
    CancelOfNothingForgetsTheFile "cancel_of_nothing" "Cancel of a writer that wrote nothing deletes the file.";
    CancelOfAnAppendCommits "cancel_of_an_append_to_content" "Cancel of an append to content keeps the bytes.";
    CancelOnlyCloses "cancel_of_a_continued_upload" "Cancel leaves the upload to be continued.";
    CancelDeletesTheOld "cancel_keeps_the_old" "Cancel deletes the committed content.";
    UploadsHidden "uploads_are_told" "Uploads tells of none.";
    UploadsEndAfterAHundred "uploads_of_many" "Uploads tells a hundred at most.";
    UploadsOfChildrenOnly "uploads_of_many" "Uploads tells only those of direct children.";
    UploadsTellNow "uploads_tell_when_they_began" "Uploads tells that each began now.";
    UploadsTellNoTime "uploads_tell_when_they_began" "Uploads does not tell when they began.";
    CancelOfNothingDeletesTheOld "uploads_are_aborted" "Cancel of a new writer deletes the committed content.";
    UploadsUndeclared "uploads_without_the_capability" "Uploads are told and not declared.";
    RedirectsNowhere "redirect_gives_an_address" "Redirect is declared and never given.";
    RedirectsToOneAddress "redirects_differ_by_path" "Redirect gives one address for all paths.";
    RedirectsUndeclared "no_redirect" "Redirect is given and not declared.";
    StatOneByteOff "stat_of_a_file" "Stat is one byte off.";
    StatForgetsPath "stat_of_a_file" "Stat tells another path.";
    StatDirectoryHasSize "stat_of_a_directory" "A directory has a size.";
    StatFindsPrefixes "stat_of_missing" "Stat finds a directory where only a sibling has the prefix.";
    EmptyRootIsMissing "root_of_an_empty_store" "The root of an empty store is missing.";
    EmptyRootListFails "root_of_an_empty_store" "Listing the root of an empty store fails.";
    RootIsMissing "stat_of_the_root" "The root is missing.";
    RootListIsEmpty "list_of_the_root" "A list of the root is empty.";
    ReaderTellsAnotherTime "reader_tells_what_stat_tells" "A reader tells a time that stat does not.";
    ReaderTellsAnotherVersion "reader_tells_what_stat_tells" "A reader tells a version that stat does not.";
    ModifiedIsNow "facts_stay" "Modified is always now.";
    VersionIsAlwaysAnother "facts_stay" "Version is another at each look.";
    ModifiedGoesBack "modified_never_goes_back" "Modified goes back by half a second now and then.";
    VersionIsSizeAndBeginning "version_of_similar_contents" "Version is made of the size and the first bytes.";
    ModifiedNeverChanges "modified_grows" "Modified never changes.";
    VersionNeverChanges "version_changes" "Version never changes.";
    ListUnordered "list_in_order" "A list is out of order.";
    ListOrdersDirectoriesAsFiles "list_in_order" "A list orders directories without their slash.";
    ListLosesPrefixes "list_in_order" "A list drops names which prefix others.";
    ListLosesSecondPage "list_of_fifty" "A list ends after its first page.";
    ListLosesTheTenthPage "list_of_ten_thousand" "A list ends after nine pages of a thousand.";
    ListRecursive "list_direct_children" "A list is recursive.";
    ListShowsTemporaries "list_hides_temporaries" "A list shows temporaries.";
    ListTellsWrongSizes "list_tells_sizes" "A list tells wrong sizes.";
    ListTellsOtherTimes "listings_tell_what_stat_tells" "A list tells times that stat does not.";
    WalkTellsOtherSizes "listings_tell_what_stat_tells" "A walk tells sizes that stat does not.";
    ListFromAStartEndsAfterAPage "list_from_any_page" "A list from a start ends after a thousand entries.";
    ListRepeatsLargeDirectories "list_of_its_parent" "A list has a directory of more than a thousand files twice.";
    ListLagsBehindDeletes "list_after_a_delete" "The list after a delete still shows what was deleted.";
    ListIgnoresTheStart "list_start_after" "A list ignores where to start.";
    ListStartIncluded "list_start_after" "A list includes the entry to start after.";
    ListStartForgetsDirectories "list_start_after" "A list takes the start for a file always.";
    ListOfMissingIsEmpty "list_of_missing" "A list of a missing directory is empty.";
    ListOfAFileIsEmpty "list_of_a_file" "A list of a file is empty.";
    EmptiedDirectoryShowsGhosts "emptied_directory" "A list of a missing directory shows what was deleted.";
    WalkByLevels "walk_in_order" "A walk goes level by level.";
    WalkLosesDirectories "walk_in_order" "A walk returns files only.";
    WalkCursorOffByOne "walk_from_every_cursor" "A walk from a cursor loses its first entry.";
    WalkEntersPassedDirectories "walk_from_every_cursor" "A walk enters the directory that its cursor passed over.";
    WalkEndsAfterNinePages "walk_of_ten_thousand" "A walk ends after nine pages of a thousand.";
    WalkFromACursorEndsAfterAPage "walk_of_ten_thousand" "A walk from a cursor ends after a thousand entries.";
    WalkOfMissingIsEmpty "walk_of_missing" "A walk of a missing directory is empty.";
    WalkTellsFilesOnly "walk_skips_directories" "A walk tells directories as files.";
    WalkStartIncluded "walk_stops" "A walk from a cursor begins with the cursor's own entry.";
    WalkOfAFileIsEmpty "walk_of_a_file" "A walk of a file is empty.";
    MoveLeavesTheSource "move_moves" "A move leaves the source.";
    MoveKeepsTheDestination "move_replaces" "A move keeps the destination.";
    MoveShowsAPrefix "move_is_never_a_mix" "A move shows half of the content for a moment.";
    MoveDeletesFirst "move_is_never_absent" "A move deletes its destination first.";
    MoveRemovesTheSourceFirst "move_never_loses_the_content" "A move removes its source, then stores the destination.";
    MoveCutsAtTheLimit "move_of_a_large_file" "A move takes the first 16 MiB.";
    MoveOfMissingMakesAFile "move_of_missing" "A move of a missing file makes an empty one.";
    MoveTakesDirectories "move_of_a_directory" "A move of a directory succeeds.";
    MoveOntoItselfDeletes "move_onto_itself" "A move onto itself deletes the file.";
    MoveOntoItselfAlwaysSucceeds "move_of_missing_onto_itself" "A move of a missing file onto itself succeeds.";
    MoveOnADirectoryDeletesIt "move_where_a_directory_is" "A move onto a directory deletes the directory.";
    DeleteDoesNothing "delete_of_a_file" "Delete does nothing.";
    DeleteIsNotRecursive "delete_is_recursive" "Delete leaves directories below.";
    DeleteTakesSiblings "delete_keeps_siblings" "Delete takes siblings that share the prefix.";
    DeleteOfMissingSucceeds "delete_of_missing" "Delete of a missing path succeeds.";
    DeleteLeavesUploads "delete_takes_uploads" "Delete leaves unfinished uploads.";
    DeleteOfAFileLeavesItsUpload "delete_takes_uploads" "Delete of a file leaves the upload that was to replace it.";
    DeleteStopsAfterAThousand "delete_of_a_large_directory" "Delete of a directory ends after a thousand files.";
    DeleteFoldsCase "names_differ_by_case" "Delete takes names that differ in case.";
    DeleteFilesForgetsTheThousandth "delete_files_of_a_thousand" "Delete-files takes 999 files.";
    DeleteFilesTakesDirectories "delete_files_of_a_directory" "Delete-files deletes directories.";
    DeleteFilesFailsOnMissing "delete_files_of_missing" "Delete-files fails on a missing file.";
    DeleteFilesDeletesTheFirst "delete_files_deletes" "Delete-files deletes only the first.";
    ErrorsWithoutDriver "errors_say_what_failed" "Errors do not say which driver.";
    WrongKind "get_missing" "A missing file is another kind of error.";
    WritersMix "writers_of_one_path" "Concurrent writers leave a mix.";
    SixteenWritersAtMost "writers_of_many_paths" "A seventeenth writer at the same time fails.";
    PutOfADeletedPathIsForgotten "random_operations" "A put to a path that was deleted before is forgotten.";
    KeepsContents "a_replacement_is_seen" "An instance keeps contents until it changes something itself.";
    KeepsInfos "a_replacement_is_seen" "An instance keeps what stat told until it changes something itself.";
    KeepsMissing "a_creation_is_seen" "An instance keeps what is missing until it changes something itself.";
    KeepsListings "a_creation_is_seen" "An instance keeps listings until it changes something itself.";
    KeepsContentsOfDeleted "a_deletion_is_seen" "An instance returns what it read of a file that is gone.";
    KeepsUploads "a_cancellation_is_seen" "An instance keeps what uploads told until it changes something itself.";
    TimesAreOfTheOpening "stored_outlives_the_driver" "What was stored has another time when the driver is opened again.";
    ForgetsWhenClosed "stored_outlives_the_driver" "What is stored is lost when the driver is closed.";
    SecondInstanceBlind "another_instance_sees_it" "Another instance does not see the store.";
    AppendOfNothingCommitsNothing "append_then_commit" "An append that is committed without a write stores an empty file.";
    SecondWriteOfAnAppendIsLost "append_in_many_writes" "Of an append only the first write counts.";
    OneByteStepsAreLost "append_in_unequal_steps" "A step of one byte after large ones is lost.";
    LateChunksAreTurned "append_in_twelve_steps" "Bytes after 50 MiB are turned around.";
    AppendContinuesTheFile "append_beside_the_old" "Append continues the committed file, and not the upload.";
    NewEndsUploadsOfLongerNames "uploads_of_similar_paths" "A new writer ends the uploads of names that its own begins.";
    CloseReplacesWhatIsThere "close_replaces_nothing" "Close replaces what was stored meanwhile.";
    UploadsAreListed "lists_hide_uploads" "A list shows files of uploads.";
    CancelKeepsFlushedBytes "cancel_of_flushed_bytes" "Cancel of more than 4 MiB only closes.";
    ReaderTellsWhatWasThere "reads_are_of_one_file" "A reader asks what a file is, and then opens it.";
    VersionCountsPuts "version_never_repeats" "Version counts the changes since a path was deleted.";
    ModifiedIsOfAnotherZone "modified_is_now" "Modified is two hours off.";
    CapabilitiesChange "capabilities_stay" "Capabilities change from one call to the next.";
    RangesEndAtBlocks "ranges_of_a_large_file" "A range ends at the end of its block of 4 MiB.";
    ListingCountsEntries "delete_files_of_a_thousand" "A listing goes on after as many entries as it returned.";
    OpenListingLocks "operations_beside_open_listings" "Put fails while a listing is open.";
    WalkHidesDots "names_that_look_special" "A walk hides names that begin with a dot.";
    MoveOfNothingFails "move_moves" "A move of an empty file fails.";
    MoveBelowAFileLosesIt "move_below_a_file" "A move below a file deletes the source and fails.";
    BelowAFileIsAnotherError "paths_below_a_file" "What lies below a file is another error than a missing one.";
    LargePutsShowAPart "large_replace_is_never_a_mix" "A put of more than 5 MiB shows its first part for a moment.";
    LargeCommitsDeleteFirst "large_replace_is_never_a_mix" "A commit of more than 5 MiB deletes the old content first.";
    PutsShareATemporary "puts_of_one_path" "Puts of one path at once share a temporary.";
    WritersShareATemporary "writers_of_two_instances" "Writers of one path share a temporary, in every instance.";
    DeletePrunesDirectories "put_beside_a_delete" "Delete removes a directory that it left empty, whatever came since.";
    DeleteCutsOpenUploads "delete_beside_an_open_upload" "An upload whose directory is deleted loses its beginning.";
    LongNamesAreAnotherError "beyond_the_limits" "A name that is too long is an error of another kind.";
    LongNamesAreCut "beyond_the_limits" "Names are cut after 255 bytes.";
    ListLosesDirectoriesOfASecondPage "list_of_a_thousand_directories" "A list has a thousand directories at most.";
    ListRepeatsDirectoriesBetweenPages "list_of_a_thousand_directories" "A directory is listed on two pages.";
    UploadsEndAfterAPage "uploads_of_many" "Uploads tells a thousand at most.";
    RedirectsToAnotherScheme "redirect_gives_an_address" "Redirect gives the store's own address.";
    RedirectsWithAPassword "redirect_gives_an_address" "Redirect gives an address with a user and a password.";
    ListStartMustBeInside "list_from_outside" "A list ignores a start that is outside the directory.";
    WalkStartMustBeInside "walk_from_outside" "A walk ignores a cursor that is outside the directory.";
    AppendCommitsElsewhere "append_beside_a_put" "A commit of an append to what was replaced succeeds and stores nothing.";
    LoserOfTwoDamagesTheFile "two_continue_one_upload" "The second of two that continue an upload fails and cuts the file.";
    KeepsWalks "a_creation_is_seen" "An instance keeps walks until it changes something itself.";
    DeleteTakesWhatIsLike "names_are_no_patterns" "Delete takes _ for any byte, as LIKE does.";
    ListShowsWhatMatches "names_are_no_patterns" "List takes a dot for any byte, as a regular expression does.";
    VeryDeepPathsAreRefused "deepest_paths" "Put refuses more than 100 components.";
    PutsOfADirectoryShareATemporary "puts_of_many_paths" "Puts in one directory at once share a temporary.";
    AppendTakesTheOldest "append_takes_the_newer" "A new writer leaves the older upload, which an append finds first.";
    ReadersEndWithTheDriver "readers_outlive_the_driver" "Readers fail when their driver is dropped.";
    WritersEndWithTheDriver "readers_outlive_the_driver" "Writers fail when their driver is dropped.";
    RootTakesNoFiles "files_in_the_root" "Put refuses files that are in no directory.";
    RootFilesAreNotListed "files_in_the_root" "A list of the root shows directories only.";
    ReaderLooksAgainAfterACommit "reader_of_a_replaced_file" "A reader looks its path up again after a commit.";
    RangesBeginInTheWriteBefore "ranges_of_a_large_file" "A range that begins with a write begins a byte before.";
    EightReadersAtATime "operations_beside_open_readers" "A ninth reader at the same time fails.";
    DeleteFilesRefusesRepeats "delete_files_of_missing" "Delete-files fails on a path that is named twice.";
}

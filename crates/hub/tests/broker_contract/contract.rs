//! The list of tests that each implementation runs.

/// Runs the contract against a fixture: `contract!(name: path::to::Fixture);`
macro_rules! contract {
    ($name:ident: $fixture:path) => {
        mod $name {
            use $fixture as Fixture;

            $crate::contract::tests! { Fixture;
                delivery {
                    what_is_published_after_subscribe_is_delivered,
                    nothing_is_delivered_before_subscribe_and_after_unsubscribe,
                    a_publication_without_history_has_no_position,
                    a_publication_is_kept_with_everything_in_it,
                    joins_and_leaves_are_delivered_in_order,
                }
                history {
                    history_is_kept_by_size,
                    history_is_kept_by_bytes,
                    a_limit_of_bytes_counts_from_when_it_is_set,
                    history_expires_after_its_last_publication,
                    history_remove_and_expiry_keep_offset_and_epoch,
                    only_the_loss_of_the_position_changes_the_epoch,
                    a_position_is_remembered_by_asking_for_it,
                    a_question_without_a_time_keeps_the_last_one,
                    a_client_at_the_top_recovers_after_expiry_and_one_below_sees_that_it_missed,
                    limits_of_zero_one_and_all,
                    since_zero_and_since_the_top_and_beyond,
                    since_an_offset_that_is_not_kept_begins_at_the_oldest,
                    since_another_epoch_is_empty,
                    reverse_goes_down_from_the_newest,
                    reverse_paging_sees_each_publication_once,
                    reverse_since_places_that_are_not_kept_is_empty,
                    channels_do_not_share_history,
                    a_history_that_shrinks_keeps_its_newest,
                    removing_a_history_that_is_not_there_changes_nothing,
                }
                idempotency {
                    a_repeated_key_answers_with_the_first_position,
                    a_key_without_history_is_delivered_once,
                    a_key_belongs_to_its_channel,
                    a_key_is_forgotten_after_its_time,
                    a_key_outlives_history_and_position,
                    a_key_without_time_is_not_remembered,
                }
                version {
                    a_version_that_is_not_above_the_last_is_suppressed,
                    another_version_epoch_accepts_a_lower_version,
                    no_version_leaves_the_last_one,
                    versions_survive_the_removal_of_history,
                    a_suppressed_version_does_not_use_up_the_key,
                    without_history_versions_are_ignored,
                }
                concurrency {
                    publishers_at_once_are_delivered_in_the_order_of_offsets,
                    of_two_with_one_key_at_once_one_is_stored,
                    subscribing_and_expiring_meanwhile_loses_no_offset,
                }
                model {
                    any_history_is_that_of_a_simple_model,
                }
            }
        }
    };
}

/// Makes one test of each name, which calls the function of that name in its module.
macro_rules! tests {
    ($fixture:ident; $($module:ident { $($test:ident,)+ })+) => {
        $($(
            #[test]
            fn $test() {
                $crate::$module::$test(&$crate::world::World::<$fixture>::new());
            }
        )+)+
    };
}

pub(crate) use {contract, tests};

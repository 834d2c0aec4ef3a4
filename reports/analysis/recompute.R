# Compute the headline numbers of this data package again, and compare them with its report.
#
#     Rscript analysis/recompute.R [FOLDER]
#
# FOLDER is the unpacked package; left out, the folder above this file. Reads ratings_long.csv and report.json, nothing
# else, and needs no package beyond R itself. Prints every number as computed here, as reported, and their difference.
# Exit status: 0 all agree, 1 one differs by more than a billionth.
#
# What is computed, for every criterion:
#   mean of an arm        all its ratings, each counted once ("pooled")
#   naive_t               Student's interval as if all ratings were independent: shown to be distrusted
#   participant_cr1       variance clustered on participants (Liang and Zeger 1986)
#   two_way               clustered on participants and on items (Cameron, Gelbach and Miller 2011)
#   difference            pooled mean of b minus pooled mean of a, with the same two intervals
#   paired                Student's interval and t test on the differences of participants' means

TOLERANCE <- 1e-9
# A standard error below this share of the ratings' range is a rounding error: there is nothing to estimate it from.
ROUNDING <- 1e-11

main <- function(folder) {
  report <- read_json(file.path(folder, "report.json"))
  if (length(report$criteria) == 0) {
    cat("The report holds no results, as is the rule before a study's planned number; nothing to compare.\n")
    return(0)
  }
  ratings <- read.csv(file.path(folder, "ratings_long.csv"),
    colClasses = "character", na.strings = character(), check.names = FALSE, encoding = "UTF-8"
  )
  ratings <- ratings[ratings$rating != "", ]
  ratings$rating <- as.numeric(ratings$rating)

  level <- report$level
  cat("number,ours,theirs,difference\n")
  differing <- 0
  for (criterion in names(report$criteria)) {
    reported <- report$criteria[[criterion]]
    of_criterion <- ratings[ratings$criterion == criterion, ]
    of_arm <- function(arm) of_criterion[of_criterion$arm == arm, ]
    for (arm in names(reported$arms)) {
      ours <- describe_arm(of_arm(arm), level)
      differing <- differing + compare(paste(criterion, arm), ours, reported$arms[[arm]])
    }
    for (theirs in reported$contrasts) {
      ours <- compare_arms(of_arm(theirs$a), of_arm(theirs$b), level)
      differing <- differing + compare(paste(criterion, theirs$b, "-", theirs$a), ours, theirs)
    }
  }
  cat(if (differing) paste(differing, "numbers differ.\n") else "All numbers agree.\n")
  if (differing) 1 else 0
}

# The statistics. Whatever cannot be estimated is NA. ------------------------------------------------------------------

describe_arm <- function(rows, level) {
  estimate <- mean(rows$rating)
  influence <- influences(rows, 1)
  list(
    n_ratings = nrow(rows),
    n_participants = distinct(rows$participant_id),
    n_items = distinct(rows$item_id),
    mean = if (nrow(rows)) estimate else NA,
    intervals = list(
      naive_t = naive_t(rows$rating, level),
      participant_cr1 = participant_cr1(estimate, list(influence), level),
      two_way = two_way(estimate, list(influence), level)
    )
  )
}

compare_arms <- function(a, b, level) {
  both <- list(influences(a, -1), influences(b, 1))
  difference <- mean(b$rating) - mean(a$rating)
  pairs <- paired(a, b, level)
  list(
    difference = if (nrow(a) && nrow(b)) difference else NA,
    intervals = list(
      paired = pairs$interval,
      participant_cr1 = participant_cr1(difference, both, level),
      two_way = two_way(difference, both, level)
    ),
    tests = list(paired_t = pairs$test)
  )
}

naive_t <- function(ratings, level) {
  n <- length(ratings)
  if (n < 2 || distinct(ratings) == 1) {
    return(NA)
  }
  t_interval(mean(ratings), sd(ratings) / sqrt(n), n - 1, level)
}

# How far each rating pulls the mean of its arm, and with `sign` the difference: (rating - mean) / n.
influences <- function(rows, sign) {
  rows$influence <- sign * (rows$rating - mean(rows$rating)) / nrow(rows)
  rows
}

# Add up the influences in each cluster, square, sum, and correct for the number of clusters: G / (G - 1).
clustered_variance <- function(influence, cluster) {
  sums <- rowsum(influence, cluster, reorder = FALSE)
  groups <- length(sums)
  if (groups > 1) sum(sums^2) * groups / (groups - 1) else 0
}

participant_cr1 <- function(estimate, arms, level) {
  rows <- do.call(rbind, arms)
  if (fewest(arms, "participant_id") < 2) {
    return(NA)
  }
  se <- sqrt(clustered_variance(rows$influence, rows$participant_id))
  if (vanishes(se, rows$rating)) {
    return(NA)
  }
  t_interval(estimate, se, distinct(rows$participant_id) - 1, level)
}

two_way <- function(estimate, arms, level) {
  rows <- do.call(rbind, arms)
  if (min(fewest(arms, "participant_id"), fewest(arms, "item_id")) < 2) {
    return(NA)
  }
  participants <- clustered_variance(rows$influence, rows$participant_id)
  items <- clustered_variance(rows$influence, rows$item_id)
  pairs <- clustered_variance(rows$influence, paste(rows$participant_id, rows$item_id, sep = "\t"))
  # Each component has its own G / (G - 1). Where their sum is not positive, the larger one-way variance stands in.
  variance <- participants + items - pairs
  floor <- max(participants, items)
  se <- sqrt(if (variance > 1e-12 * floor) variance else floor)
  if (vanishes(se, rows$rating)) {
    return(NA)
  }
  t_interval(estimate, se, min(distinct(rows$participant_id), distinct(rows$item_id)) - 1, level)
}

# On participants' means, if at least half of all participants rated both arms.
paired <- function(a, b, level) {
  none <- list(interval = NA, test = NA)
  means_a <- participant_means(a)
  means_b <- participant_means(b)
  both <- intersect(names(means_a), names(means_b))
  n <- length(both)
  if (n < 2 || 2 * n < length(union(names(means_a), names(means_b)))) {
    return(none)
  }
  differences <- means_b[both] - means_a[both]
  se <- sd(differences) / sqrt(n)
  if (vanishes(se, c(a$rating, b$rating))) {
    return(none)
  }
  t <- mean(differences) / se
  list(
    interval = t_interval(mean(differences), se, n - 1, level),
    test = list(t = t, df = n - 1, p = 2 * pt(abs(t), n - 1, lower.tail = FALSE))
  )
}

participant_means <- function(rows) {
  if (nrow(rows)) sapply(split(rows$rating, rows$participant_id), mean) else numeric()
}

t_interval <- function(estimate, se, df, level) {
  half <- qt((1 + level) / 2, df) * se
  list(estimate = estimate, se = se, df = df, low = estimate - half, high = estimate + half)
}

distinct <- function(values) length(unique(values))

fewest <- function(arms, unit) min(sapply(arms, function(rows) distinct(rows[[unit]])))

vanishes <- function(se, ratings) se <= ROUNDING * diff(range(ratings))

# The comparison. ------------------------------------------------------------------------------------------------------

# Print our numbers beside the reported ones, and return how many differ.
compare <- function(label, ours, theirs, se = 0) {
  if (is.list(theirs) && !is.null(theirs[["not_estimable"]])) theirs <- NA
  if (is.list(ours) && is.list(theirs)) {
    near <- if (is.null(ours$se)) 0 else ours$se
    return(sum(sapply(names(ours), function(name) {
      compare(paste(label, name), ours[[name]], theirs[[name]], near)
    })))
  }
  if (is.numeric(ours) && is.numeric(theirs)) {
    difference <- abs(ours - theirs)
    # A mean close to 0 is measured against its standard error.
    differs <- difference > TOLERANCE * max(abs(theirs), se)
    cat(sprintf("%s,%.15g,%.15g,%.1e%s\n", label, ours, theirs, difference, if (differs) ",DIFFERS" else ""))
  } else {
    missing <- c(!is.list(ours) && is.na(ours), !is.list(theirs) && (is.null(theirs) || is.na(theirs)))
    differs <- missing[1] != missing[2]
    said <- paste(ifelse(missing, "not estimable", "estimable"), collapse = ",")
    cat(sprintf("%s,%s,%s\n", label, said, if (differs) ",DIFFERS" else ""))
  }
  as.integer(differs)
}

# R has no reader of JSON. This one turns objects and arrays into lists; a null becomes NA. ----------------------------

read_json <- function(path) {
  text <- readChar(path, file.size(path), useBytes = TRUE)
  token <- '"[^"\\\\]*+(?:\\\\.[^"\\\\]*+)*+"|-?[0-9][-+.0-9eE]*+|true|false|null|[][{}:,]'
  tokens <- regmatches(text, gregexpr(token, text, perl = TRUE, useBytes = TRUE))[[1]]
  place <- 0
  take <- function() {
    place <<- place + 1
    tokens[place]
  }
  # The entries up to the closing bracket.
  entries <- function(closing, one) {
    found <- list()
    if (tokens[place + 1] == closing) {
      take()
      return(found)
    }
    repeat {
      found <- c(found, one())
      if (take() == closing) {
        return(found)
      }
    }
  }
  value <- function() {
    first <- take()
    switch(substring(first, 1, 1),
      "{" = entries("}", function() {
        key <- unquoted(take())
        take() # the colon
        structure(list(value()), names = key)
      }),
      "[" = entries("]", function() list(value())),
      "\"" = unquoted(first),
      "t" = TRUE,
      "f" = FALSE,
      "n" = NA,
      as.numeric(first)
    )
  }
  value()
}

unquoted <- function(token) {
  text <- sub('^"(.*)"$', "\\1", token, perl = TRUE, useBytes = TRUE)
  Encoding(text) <- "UTF-8"
  # Keys and the words looked at here hold no other escapes.
  gsub("\\\\([\"\\\\/])", "\\1", text, perl = TRUE)
}

arguments <- commandArgs(trailingOnly = TRUE)
if (!length(arguments)) {
  script <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))
  arguments <- dirname(dirname(normalizePath(script)))
}
quit(status = main(arguments[1]))
